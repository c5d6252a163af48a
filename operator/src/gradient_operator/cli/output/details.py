"""Everything that `gradient show` says about one run, as sections for a console."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradient_operator.cli.output.console import safe
from gradient_operator.cli.output.run_tables import jobs_table, run_state
from gradient_operator.cli.output.run_view import JobView, RunView
from gradient_operator.cli.output.text import ago, duration, files, size
from gradient_operator.cli.transfers import sentence
from gradient_operator.datasets.progress_log import Transfer

MAX_FAILURES: Final = 5
"""Failed, and waiting, jobs whose messages are written out; the graph shows all of them."""
_INDENT: Final = 2


def details(
    run: RunView,
    *,
    models: Sequence[Mapping[str, Any]],
    now: float,
    width: int,
    moving: Mapping[str, Transfer] = MappingProxyType({}),
) -> Group:
    """The run: head, graph, data, conditions, failures and what to type next.

    Args:
        run: the run.
        models: the `GradientModel` objects that it registered.
        now: seconds since the epoch.
        width: characters in a line.
        moving: how far jobs are that fetch or upload.
    """
    sections: list[tuple[str, RenderableType | None]] = [
        ("Jobs", jobs_table(run.jobs, now=now, width=width - _INDENT) if run.jobs else None),
        ("Transfers", _rows([(safe(name), sentence(said)) for name, said in moving.items()])),
        ("Inputs", _inputs(run)),
        ("Volumes", _volumes(run)),
        ("Datasets made", _datasets(run)),
        ("Strings", _strings(run)),
        ("Models", _models(models)),
        ("Conditions", _conditions(run)),
        ("Failures", _failures(run)),
        ("Waiting", _waiting(run)),
        ("Next", _rows([(Text(what), command) for command, what in hints(run)], style="bold")),
    ]
    parts: list[RenderableType] = [head(run, now)]
    for title, body in sections:
        if body is not None:
            parts += [Text(f"\n{title}", style="bold"), Padding(body, (0, 0, 0, _INDENT))]
    return Group(*parts)


def head(run: RunView, now: float) -> Text:
    """Name, state and times of a run in two or three lines."""
    text = Text("Run ").append_text(safe(run.name, "bold"))
    text.append_text(safe(f" of workflow {run.workflow}" if run.workflow else ""))
    text.append_text(safe(f", a rerun of {run.rerun_of}" if run.rerun_of else ""))
    text.append_text(safe(f" in namespace {run.namespace}\n"))
    text.append_text(run_state(run))
    if run.progress:
        text.append(f", {run.progress} jobs finished")
    if run.started_at is not None:
        took = duration(run.elapsed(now))
        words = "took" if run.final else "running for"
        text.append(f", started {ago(run.started_at, now)}, {words} {took}")
    if run.message:
        text.append("\n").append_text(safe(run.message.strip()))
    return text


def hints(run: RunView) -> Iterator[tuple[str, str]]:
    """Commands that somebody who looks at this run may want next, and what they do."""
    failed = [job for job in run.jobs if job.phase == "Failed"]
    place = f" -n {run.namespace}" if run.namespace else ""
    if failed:
        yield f"gradient logs {run.name} {failed[0].name}{place}", "the whole log of the job"
    elif run.jobs:
        follow = "" if run.final else " -f"
        yield f"gradient logs {run.name}{place}{follow}", "the logs of its jobs"
    if run.phase in {"Failed", "Cancelled"} and run.jobs and not run.archived:
        yield f"gradient rerun {run.name} --failed{place}", "go on, keeping what succeeded"
    if not run.final:
        yield f"gradient show {run.name}{place} -f", "follow it"
        yield f"gradient cancel {run.name}{place}", "stop it"
    elif run.workflow:
        yield f"gradient run {run.workflow}{place}", "start it afresh"
    for output in _made(run)[:1]:
        reference = f"{output[1].dataset}:{output[1].version}"
        yield f"gradient dataset get {reference} DIRECTORY{place}", "download what it made"


def failure_texts(job: JobView) -> Iterator[Text]:
    """Why a job failed, and the last lines of its log as its Pod gave them."""
    first, *rest = job.message.strip().splitlines() or [job.reason or "no reason was given"]
    attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    yield Text().append("✗ ", style="red").append_text(safe(f"{job.name}{attempt}: {first}"))
    for line in rest:
        yield safe(f"  │ {line}", "dim")


def _failures(run: RunView) -> RenderableType | None:
    failed = [job for job in run.jobs if job.phase == "Failed"]
    found = [text for job in failed[:MAX_FAILURES] for text in failure_texts(job)]
    if len(failed) > MAX_FAILURES:
        found.append(Text(f"… and {len(failed) - MAX_FAILURES} more"))
    return Group(*found) if found else None


def _waiting(run: RunView) -> RenderableType | None:
    """What jobs wait for, in full: the table has no room for it."""
    waiting = [
        job for job in run.jobs if job.phase in {"Pending", "Starting"} and job.message.strip()
    ]
    rows = [(safe(job.name), job.message.strip()) for job in waiting[:MAX_FAILURES]]
    if len(waiting) > MAX_FAILURES:
        rows.append((Text("…"), f"and {len(waiting) - MAX_FAILURES} more"))
    return _rows(rows)


def _inputs(run: RunView) -> RenderableType | None:
    rows = []
    for name, pinned in sorted(run.inputs.items()):
        place = pinned.get("namespace", "")
        prefix = f"{place}/" if place and place != run.namespace else ""
        version = f"{prefix}{pinned.get('dataset', '')}:{pinned.get('version', '')}"
        rows.append((safe(name), f"{version}  {size(pinned.get('bytes') or None)}".rstrip()))
    return _rows(rows)


def _volumes(run: RunView) -> RenderableType | None:
    rows = []
    for name, volume in sorted(run.volumes.items()):
        claim = f", claim {volume['claim']}" if volume.get("claim") else ""
        claim += f", folder {volume['folder']}" if volume.get("folder") else ""
        rows.append((safe(name), f"{volume.get('mode', '')}: {volume.get('reason', '')}{claim}"))
    return _rows(rows)


def _made(run: RunView) -> list[tuple[JobView, Any]]:
    return [(job, output) for job in run.jobs for output in job.outputs if output.type == "dataset"]


def _datasets(run: RunView) -> RenderableType | None:
    rows = []
    for job, output in _made(run):
        content = f"{files(output.files)}, {size(output.bytes or 0)}"
        rows.append((safe(f"{output.dataset}:{output.version}"), f"{content}, by {job.name}"))
    return _rows(rows)


def _strings(run: RunView) -> RenderableType | None:
    rows = []
    for job in run.jobs:
        for output in job.outputs:
            if output.value is not None:
                rows.append((safe(f"{job.name}.{output.name}"), output.value.strip()))
            elif output.type == "string" and output.ref:
                rows.append((safe(f"{job.name}.{output.name}"), "(long: in object storage only)"))
    return _rows(rows)


def _models(models: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    rows = []
    for model in models:
        spec = model.get("spec") or {}
        version = f"{spec.get('dataset', '')}:{spec.get('version', '')}"
        words = f"{spec.get('name', '')} ({spec.get('type', '')}), {version}"
        rows.append((safe(model["metadata"]["name"]), words))
    return _rows(rows)


def _conditions(run: RunView) -> RenderableType | None:
    rows = []
    for condition in run.conditions:
        reason, message = condition.get("reason", ""), condition.get("message", "")
        if message == run.message:
            message = ""  # it stands in the head
        title = safe(f"{condition.get('type', '')}={condition.get('status', '')}")
        rows.append((title, f"{reason}: {message}" if message else reason))
    return _rows(rows)


def _rows(rows: Sequence[tuple[Text, str]], style: str = "") -> RenderableType | None:
    if not rows:
        return None
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in range(2):
        table.add_column(overflow="fold", ratio=None if column == 0 else 1)
    for title, words in rows:
        table.add_row(title, safe(words, style))
    return table
