"""A compiled workflow: what its jobs do, with every reference resolved to a job, input or dataset.

Frozen data that the planner, the pod builder and the command line share; made by `compile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from gradient_operator.workflow.references import DatasetReference

MAX_PROBLEMS: Final = 1_000
"""Of one file; further ones are counted only."""
_LONGEST_NAME: Final = 80
_LONGEST_SENTENCE: Final = 1_000


class Action(StrEnum):
    """What a job does."""

    CONTAINER = "container@v1"
    SCRIPT = "script@v1"
    GIT_CHECKOUT = "git-checkout@v1"
    S3_DOWNLOAD = "s3-download@v1"
    CREATE_MODEL = "create-model@v1"


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One variable: a plain value, or the key of the namespace's Secret of values."""

    name: str
    value: str = ""
    secret_key: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset version that exists before the run; pinned when the run starts."""

    name: str
    reference: DatasetReference
    optional: bool = False


@dataclass(frozen=True, slots=True)
class OutputInput:
    """What another job of the run hands on."""

    name: str
    type: Literal["dataset", "string", "volume"]
    job: str
    output: str


@dataclass(frozen=True, slots=True)
class StringInput:
    """A string that is known before the run starts."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SharedVolumeInput:
    """The legacy form: a volume without a source, one for the run, writable in every job."""

    name: str


JobInput = DatasetInput | OutputInput | StringInput | SharedVolumeInput


@dataclass(frozen=True, slots=True)
class JobOutput:
    """An output; `dataset` is set for datasets only."""

    name: str
    type: Literal["dataset", "string", "volume"]
    dataset: DatasetReference | None = None


@dataclass(frozen=True, slots=True)
class GitCheckout:
    """Parameters of `git-checkout@v1`; variables in url and ref are expanded in the job."""

    url: str
    ref: str | None
    username: EnvVar | None
    password: EnvVar | None
    path: str


@dataclass(frozen=True, slots=True)
class S3Download:
    """Parameters of `s3-download@v1`; variables in url, region and endpoint are expanded there."""

    url: str
    region: str
    endpoint: str
    access_key: EnvVar | None
    secret_key: EnvVar | None
    path: str


@dataclass(frozen=True, slots=True)
class CreateModel:
    """Parameters of `create-model@v1`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Condition:
    """The `if` of a job: its text, the same as CEL, and what it looks at.

    `asks` are the status functions that it calls, `needs` holds the jobs behind each name under
    `needs` (several for a matrix), `outputs` the strings that it reads, as job and output.
    """

    text: str
    program: str
    asks: frozenset[str] = frozenset()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: tuple[tuple[str, str], ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, str] = field(default_factory=dict)

    @property
    def asks_status(self) -> bool:
        """Whether it decides about needs that did not end well; otherwise `success() &&` holds."""
        return bool(self.asks)


@dataclass(frozen=True, slots=True)
class CompiledJob:
    """One job; `image`, `command` and `args` are for the actions that run a user's container.

    `base` is the job of the file whose combination of a matrix this is, empty without a matrix.
    """

    name: str
    action: Action
    needs: tuple[str, ...]
    instance_type: str
    registries: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    inputs: tuple[JobInput, ...] = ()
    outputs: tuple[JobOutput, ...] = ()
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    checkout: GitCheckout | None = None
    download: S3Download | None = None
    model: CreateModel | None = None

    base: str = ""
    condition: Condition | None = None
    timeout_seconds: float | None = None
    continue_on_error: bool = False
    retries: int | None = None

    def output(self, name: str) -> JobOutput | None:
        """The output of that name."""
        return next((output for output in self.outputs if output.name == name), None)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The combinations of one job; `max_parallel` None: all may run at once."""

    jobs: tuple[str, ...]
    max_parallel: int | None = None
    fail_fast: bool = True


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """All jobs, in an order in which every job stands after its needs.

    The combinations of a matrix stand next to each other; `matrices` holds them by the name of
    their job in the file.
    """

    jobs: Mapping[str, CompiledJob]
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    matrices: Mapping[str, Matrix] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, and where: a path of keys from its top."""

    path: tuple[str | int, ...]
    message: str
    rule: str
    severity: Literal["error", "warning"] = "error"
    line: int | None = None
    """In the text at the path, counted from 0."""

    def __str__(self) -> str:
        """The sentence after its place; both are bounded, whatever the file holds."""
        place = _plain(".".join(_short(str(part), _LONGEST_NAME) for part in self.path))
        message = _plain(_short(self.message, _LONGEST_SENTENCE))
        return f"{place}: {message}" if place else message


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _plain(text: str) -> str:
    """Without line breaks and what else a terminal would act upon: names come from files."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


class Refused(ValueError):
    """The file is not valid; `problems` holds the reasons, errors first, `hidden` counts more."""

    def __init__(self, problems: tuple[Problem, ...], hidden: int = 0) -> None:
        self.problems, self.hidden = problems, hidden
        super().__init__("; ".join(str(problem) for problem in problems))

    def summary(self, most: int = 5) -> str:
        """The first reasons, and how many more there are."""
        shown = "; ".join(str(problem) for problem in self.problems[:most])
        more = len(self.problems) - most + self.hidden
        return f"{shown}; and {more} more" if more > 0 else shown
