"""What the parts of the compiler share: the file, the values given, the problems found so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradient_operator.api.run import RunInput
from gradient_operator.api.workflow import GradientFile, Job
from gradient_operator.workflow.model import MAX_PROBLEMS, EnvVar, Problem
from gradient_operator.workflow.references import parse_secret


@dataclass(frozen=True, slots=True)
class Event:
    """What started the run, as `context.event.github` names it."""

    url: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Combination:
    """One job that is run: a job of the file, or one combination of its matrix.

    `short` is what its name adds to that of the job of the file, empty without a matrix.
    """

    name: str
    base: str
    short: str
    values: Mapping[str, str]
    job: Job


@dataclass(slots=True)
class Compilation:
    """The problems that were found so far, and what the jobs share."""

    file: GradientFile
    given: Mapping[str, RunInput] | None
    event: Event
    problems: list[Problem] = field(default_factory=list)
    combinations: Mapping[str, tuple[Combination, ...]] = field(default_factory=dict)
    """By job of the file."""
    origins: dict[str, str] = field(default_factory=dict)
    """The job of the file that a combination was made of: problems are shown there."""

    errors: int = 0
    hidden: int = 0
    """Problems beyond `MAX_PROBLEMS` of their severity, which are counted only."""

    @property
    def full(self) -> bool:
        """Whether there are so many errors that looking for more helps nobody."""
        return self.errors >= MAX_PROBLEMS

    def error(self, path: tuple[str | int, ...], message: str, rule: str) -> None:
        """Note a reason to refuse the file."""
        if self.full:
            self.hidden += 1
            return
        self.errors += 1
        self.problems.append(Problem(self._in_file(path), message, rule))

    def warn(self, path: tuple[str | int, ...], message: str, rule: str) -> None:
        """Note something that its author should look at."""
        if len(self.problems) - self.errors >= MAX_PROBLEMS:
            self.hidden += 1
            return
        self.problems.append(Problem(self._in_file(path), message, rule, "warning"))

    def _in_file(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if len(path) > 1 and path[0] == "jobs":
            return ("jobs", self.origins.get(str(path[1]), path[1]), *path[2:])
        return path


def event_of(file: GradientFile) -> Event:
    """The event that was pasted into the file, as stored specs have it."""
    node: object = file.context or {}
    for key in ("event", "github"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return Event()
    url, ref = node.get("url"), node.get("ref")
    return Event(url if isinstance(url, str) else None, ref if isinstance(ref, str) else None)


def env_var(name: str, value: str) -> EnvVar:
    """A variable from its text: `secret:KEY` names a key of the Secret of values."""
    key = parse_secret(value)
    return EnvVar(name, value) if key is None else EnvVar(name, secret_key=key)
