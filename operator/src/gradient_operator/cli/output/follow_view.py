"""The two faces of a followed run: a live graph for terminals, lines for everything else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradient_operator.cli.output.console import safe
from gradient_operator.cli.output.details import failure_texts, head
from gradient_operator.cli.output.run_tables import jobs_table, remark
from gradient_operator.cli.output.run_view import JobView, RunView
from gradient_operator.cli.output.text import ACTIVE, FINAL, MARKS, duration, one_line
from gradient_operator.cli.transfers import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from gradient_operator.datasets.progress_log import Transfer

_ROWS_AROUND: Final = 8
"""Lines of a terminal that the graph leaves for the head, the notes and the prompt."""
_MAX_FAILURES: Final = 5
_MAX_BARS: Final = 3
_BAR: Final = 20
"""Characters."""


class FollowView(Protocol):
    """What following a run needs to be shown."""

    draws: bool
    """Whether it shows how far transfers are: they are asked for only then."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was found."""

    def update(self, run: RunView, moving: Mapping[str, Transfer]) -> None:
        """The run as it is now, and how far its jobs' transfers are."""

    def note(self, text: Text) -> None:
        """Something that happened beside the run."""

    def end(self, run: RunView) -> None:
        """The summary of a run that has ended."""


def view_for(console: Console, clock: Callable[[], float]) -> FollowView:
    """The view that fits the console."""
    return LiveView(console, clock) if console.is_terminal else PlainView(console, clock)


class LiveView:
    """The graph, drawn again at every update."""

    draws = True

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def update(self, run: RunView, moving: Mapping[str, Transfer]) -> None:
        """Draw the run; of many jobs those that matter now."""
        now = self._clock()
        rows = self._console.height - _ROWS_AROUND - min(len(moving), _MAX_BARS)
        shown = visible(run.jobs, max(rows, _MAX_FAILURES))
        parts: list[RenderableType] = [
            head(run, now),
            jobs_table(shown, now=now, width=self._console.width),
        ]
        if len(shown) < len(run.jobs):
            parts.append(Text(f"… and {len(run.jobs) - len(shown)} more jobs", style="dim"))
        if moving:
            parts.append(bars(moving))
        self._live.update(Group(*parts), refresh=True)

    def note(self, text: Text) -> None:
        """Print above the graph."""
        self._live.console.print(text)

    def end(self, run: RunView) -> None:
        """Add the failures: the graph has said the rest."""
        for text in _failures(run):
            self._console.print(text)


class PlainView:
    """One line per change, with the time of day."""

    draws = False

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._last: RunView | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing was changed."""

    def update(self, run: RunView, moving: Mapping[str, Transfer]) -> None:  # noqa: ARG002
        """Print what has changed since the last update; a bar is no change."""
        for text in changes(self._last, run, self._clock()):
            self._print(text)
        self._last = run

    def note(self, text: Text) -> None:
        """Print it."""
        self._print(text)

    def end(self, run: RunView) -> None:
        """Print the result and the failures."""
        mark, style = MARKS.get(run.phase, ("?", ""))
        done = sum(job.phase == "Succeeded" for job in run.jobs)
        took = duration(run.elapsed(self._clock())) or "no time"
        line = Text().append(f"{mark} ", style=style).append_text(safe(f"Run {run.name} "))
        line.append(run.phase, style=style)
        line.append(f" after {took}: {done} of {len(run.jobs)} jobs succeeded.")
        self._print(line)
        failures = list(_failures(run))
        for text in failures or ([safe(run.message.strip())] if run.message else []):
            self._print(text)

    def _print(self, text: Text) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        line = Text().append(f"{stamp} ", style="dim").append_text(text)
        self._console.print(line, soft_wrap=True)


def bars(moving: Mapping[str, Transfer]) -> Table:
    """A line for each transfer, with a bar where it is known how much there is to do."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for name, transfer in list(moving.items())[:_MAX_BARS]:
        share = transfer.share
        bar = ProgressBar(total=1.0, completed=share, width=_BAR) if share is not None else ""
        table.add_row(safe(name), bar, safe(sentence(transfer)))
    return table


def changes(before: RunView | None, run: RunView, now: float) -> Iterator[Text]:
    """A line for every job that stands elsewhere than before, else for the run's new message."""
    known = {job.name: job for job in before.jobs} if before is not None else {}
    quiet = True
    for job in run.jobs:
        old = known.get(job.name, JobView(job.name))
        if (job.phase, job.attempt, job.reason) != (old.phase, old.attempt, old.reason):
            quiet = False
            yield _change(job, now)
    if quiet and not run.final and run.message != (before.message if before else ""):
        yield safe(one_line(run.message))  # with changes it would only repeat them


def visible(jobs: Sequence[JobView], limit: int) -> list[JobView]:
    """At most `limit` jobs in their order: failed, active and next ones before the others."""
    if len(jobs) <= limit:
        return list(jobs)
    chosen = sorted(range(len(jobs)), key=lambda index: (_rank(jobs[index]), index))[:limit]
    return [jobs[index] for index in sorted(chosen)]


def _rank(job: JobView) -> int:
    if job.phase == "Failed":
        return 0
    if job.phase in ACTIVE:
        return 1
    if job.phase == "Pending" and (job.attempt or job.reason):
        return 2
    return 4 if job.phase in FINAL else 3


def _change(job: JobView, now: float) -> Text:
    mark, style = MARKS.get(job.phase, ("?", ""))
    line = Text().append(f"{mark} ", style=style).append_text(safe(f"{job.name} "))
    line.append(job.phase, style=style)
    if job.phase in ACTIVE and job.node:
        machine = f" ({job.instance_type})" if job.instance_type else ""
        line.append_text(safe(f" on {job.node}{machine}"))
    elapsed = job.elapsed(now)
    if job.phase in FINAL and elapsed is not None:
        line.append(f" after {duration(elapsed)}")
    said = remark(job, now)
    return line.append_text(safe(f", {said}")) if said else line


def _failures(run: RunView) -> Iterator[Text]:
    failed = [job for job in run.jobs if job.phase == "Failed"]
    for job in failed[:_MAX_FAILURES]:
        yield from failure_texts(job)
    if len(failed) > _MAX_FAILURES:
        yield Text(
            f"… and {len(failed) - _MAX_FAILURES} more failed jobs: gradient show {run.name}"
        )
