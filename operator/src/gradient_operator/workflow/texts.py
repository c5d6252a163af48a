"""The texts of a file that a program will read: variables, arguments, scripts, values of inputs."""

from collections.abc import Iterator
from dataclasses import dataclass

from gradient_operator.api.workflow import GradientFile, Job

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TextAt:
    """One text and its place; `variable` is its name where it is the value of one."""

    path: Path
    text: str
    variable: str = ""


def texts_of_file(file: GradientFile) -> Iterator[TextAt]:
    """All of them, in the order of the format."""
    for name, value in ((file.defaults and file.defaults.env) or {}).items():
        yield TextAt(("defaults", "env", name), value, name)
    for name, declared in (file.inputs or {}).items():
        if declared.with_ is not None and declared.with_.value:
            yield TextAt(("inputs", name, "with", "value"), declared.with_.value)
    for name, job in file.jobs.items():
        yield from texts_of_job(name, job)


def texts_of_job(name: str, job: Job) -> Iterator[TextAt]:
    """Those of one job, without the defaults."""
    for variable, value in (job.env or {}).items():
        yield TextAt(("jobs", name, "env", variable), value, variable)
    yield from programs_of_job(name, job)


def programs_of_job(name: str, job: Job) -> Iterator[TextAt]:
    """What the job runs: its script, or its command and arguments."""
    if job.with_ is None:
        return
    place = ("jobs", name, "with")
    if job.with_.script:
        yield TextAt((*place, "script"), job.with_.script)
    command = job.with_.command
    if isinstance(command, str):
        yield TextAt((*place, "command"), command)
    for key, items in (("command", command), ("args", job.with_.args)):
        if isinstance(items, list):
            yield from (TextAt((*place, key, at), item) for at, item in enumerate(items))
