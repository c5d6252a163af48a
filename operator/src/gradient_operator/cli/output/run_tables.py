"""Runs and their jobs as tables of rich: the list of runs, and the graph of one."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gradient_operator.cli.output import graph
from gradient_operator.cli.output.console import safe
from gradient_operator.cli.output.fitted import Column, fitted_table
from gradient_operator.cli.output.run_view import JobView, RunView
from gradient_operator.cli.output.text import MARKS, ago, duration, one_line


def state(phase: str, words: str = "") -> Text:
    """A phase with its mark, in its colour."""
    mark, style = MARKS.get(phase, ("?", ""))
    return Text(f"{mark} {words or phase}", style=style, no_wrap=True)


def runs_table(runs: Sequence[RunView], *, now: float, width: int) -> Table:
    """The list of runs, in the order given."""
    return fitted_table(
        [
            Column(title="name", cells=[safe(run.name) for run in runs]),
            Column(title="workflow", cells=[safe(run.workflow) for run in runs], drop=3),
            Column(title="state", cells=[run_state(run) for run in runs]),
            Column(title="jobs", cells=[safe(run.progress) for run in runs], drop=1),
            Column(
                title="started",
                cells=[Text(ago(run.started_at or run.created_at, now)) for run in runs],
                drop=4,
            ),
            Column(title="time", cells=[Text(duration(run.elapsed(now))) for run in runs], drop=2),
            Column(
                title="message",
                cells=[safe(one_line(run.message)) for run in runs],
                drop=5,
                flexible=True,
            ),
        ],
        width,
    )


def run_state(run: RunView) -> Text:
    """Phase of a run with its mark; `Cancelling` until the operator has stopped its jobs."""
    if run.archived:
        return state(run.phase, f"{run.phase} (archived)")
    return state(run.phase, "Cancelling" if run.cancelling and not run.final else "")


def jobs_table(jobs: Sequence[JobView], *, now: float, width: int) -> Table:
    """The graph of a run: one line per job with its state, time, machine and node."""
    lines = graph.lines(jobs)
    return fitted_table(
        [
            Column(title="job", cells=[_job(line) for line in lines], flexible=True),
            Column(title="state", cells=[_phase(job) for job in (line.job for line in lines)]),
            Column(
                title="time",
                cells=[Text(duration(line.job.elapsed(now))) for line in lines],
                drop=1,
            ),
            Column(title="machine", cells=[safe(line.job.instance_type) for line in lines], drop=3),
            Column(title="node", cells=[safe(line.job.node) for line in lines], drop=2),
            Column(
                title="also after",
                cells=[safe(", ".join(line.after), "dim") for line in lines],
                drop=5,
                flexible=True,
            ),
            Column(
                title="",
                cells=[safe(remark(line.job, now), _faint(line.job)) for line in lines],
                drop=4,
                flexible=True,
            ),
        ],
        width,
    )


def _job(line: graph.Line) -> Text:
    mark, style = MARKS.get(line.job.phase, ("?", ""))
    name = Text().append(line.branch, style="dim").append(f"{mark} ", style=style)
    name.append_text(safe(line.job.name))
    values = ", ".join(f"{key}={value}" for key, value in line.job.values.items())
    return name.append_text(safe(f" ({values})", "dim")) if values else name


def _phase(job: JobView) -> Text:
    return Text(job.phase, style=MARKS.get(job.phase, ("?", ""))[1])


def _faint(job: JobView) -> str:
    return "" if job.phase == "Failed" else "dim"


def remark(job: JobView, now: float) -> str:
    """What else there is to say about a job in one line: attempt, retry, reason and message."""
    parts = []
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}{f' of {job.attempts}' if job.attempts else ''}")
    if job.memory:
        parts.append(f"with {job.memory} of memory")
    if job.phase == "Pending" and job.retry_at is not None and job.retry_at > now:
        parts.append(f"tries again in {duration(job.retry_at - now)}")
    if job.source:
        parts.append(f"from {job.source}")
    elif job.phase != "Succeeded":
        reason = "" if job.reason == job.phase else job.reason
        said = ": ".join(part for part in (reason, one_line(job.message)) if part)
        parts += [said] if said else []
    return ", ".join(parts)
