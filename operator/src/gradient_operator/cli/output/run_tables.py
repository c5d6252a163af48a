"""Runs and their jobs as tables of rich: the list of runs, and the graph of one."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gradient_operator.cli.output import graph
from gradient_operator.cli.output.console import cell, safe
from gradient_operator.cli.output.run_view import JobView, RunView
from gradient_operator.cli.output.text import MARKS, ago, duration, one_line


def state(phase: str, words: str = "") -> Text:
    """A phase with its mark, in its colour."""
    mark, style = MARKS.get(phase, ("?", ""))
    return Text(f"{mark} {words or phase}", style=style, no_wrap=True)


def plain_table(*columns: str) -> Table:
    """A table without lines, whose titles are in capitals as kubectl's are."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.upper())
    return table


def runs_table(runs: Sequence[RunView], now: float) -> Table:
    """The list of runs, in the order given."""
    table = plain_table("name", "workflow", "state", "jobs", "started", "time", "message")
    for run in runs:
        table.add_row(
            safe(run.name),
            safe(run.workflow),
            state(run.phase, "Cancelling" if run.cancelling and not run.final else ""),
            Text(run.progress, no_wrap=True),
            Text(ago(run.started_at or run.created_at, now), no_wrap=True),
            Text(duration(run.elapsed(now)), no_wrap=True),
            cell(one_line(run.message)),
        )
    return table


def jobs_table(jobs: Sequence[JobView], now: float) -> Table:
    """The graph of a run: one line per job with its state, time, machine and node."""
    lines = graph.lines(jobs)
    named = any(line.after for line in lines)
    titles = ["job", "state", "time", "machine", "node", *(["after"] if named else []), ""]
    table = plain_table(*titles)
    for line in lines:
        mark, style = MARKS.get(line.job.phase, ("?", ""))
        name = Text(line.branch, style="dim", no_wrap=True, overflow="ellipsis")
        name.append(f"{mark} ", style=style).append_text(safe(line.job.name))
        row = [
            name,
            Text(line.job.phase, style=style, no_wrap=True),
            Text(duration(line.job.elapsed(now)), no_wrap=True),
            cell(line.job.instance_type),
            cell(line.job.node),
            *([cell(", ".join(line.after), "dim")] if named else []),
            cell(remark(line.job, now), "" if line.job.phase == "Failed" else "dim"),
        ]
        table.add_row(*row)
    return table


def remark(job: JobView, now: float) -> str:
    """What else there is to say about a job in one line: attempt, retry, reason and message."""
    parts = []
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    if job.phase == "Pending" and job.retry_at is not None and job.retry_at > now:
        parts.append(f"tries again in {duration(job.retry_at - now)}")
    if job.phase != "Succeeded" and (job.reason or job.message):
        said = one_line(job.message)
        parts.append(f"{job.reason}: {said}" if job.reason and said else job.reason or said)
    return ", ".join(parts)
