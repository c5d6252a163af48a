"""A diagnosis as text that stays the same from version to version, and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from gradient_operator.api.times import format_time
from gradient_operator.cli.diagnosis import Cause, Diagnosis, Holder, Wait
from gradient_operator.cli.output.console import safe
from gradient_operator.cli.output.details import hints
from gradient_operator.cli.output.run_json import run_summary
from gradient_operator.cli.output.text import ago, duration
from gradient_operator.cli.transfers import sentence
from gradient_operator.engine.reasons import reason_of

_SHOWN: Final = 5
"""Jobs, holders and failures that are written out; JSON has all."""
_LOG_LINES: Final = 10


def as_text(found: Diagnosis, now: float) -> str:
    """The screen, with a line end at its end."""
    lines = [_head(found, now)]
    for wait in found.waits:
        lines += ["", *_wait(wait, now)]
    if found.moving:
        lines += ["", "Transfers"]
        lines += [f"  {job}: {sentence(said)}" for job, said in found.moving.items()]
    if found.working:
        lines += ["", *_working(found, now)]
    for cause in found.causes[:_SHOWN]:
        lines += ["", *_cause(cause, now, first=cause is found.causes[0])]
    if len(found.causes) > _SHOWN:
        lines += ["", f"… and {len(found.causes) - _SHOWN} more failed"]
    if found.ended:
        lines += ["", *_ended(found)]
    if not (found.waits or found.working or found.causes):
        lines += ["", "It succeeded." if found.run.final else "Nothing is waited for."]
    lines += ["", "Next", *(f"  {command}  ({what})" for command, what in hints(found.run))]
    return "".join(f"{safe(line).plain}\n" for line in lines)


def _head(found: Diagnosis, now: float) -> str:
    run = found.run
    text = f"Run {run.name} in namespace {run.namespace}: {run.phase}"
    if run.progress:
        text += f", {run.progress} jobs finished"
    if run.started_at is not None:
        return f"{text}, started {ago(run.started_at, now)}"
    return f"{text}, created {ago(run.created_at, now)}"


def _wait(wait: Wait, now: float) -> Iterator[str]:
    reason = reason_of(wait.reason)
    since = f", for {duration(now - wait.since)}" if wait.since is not None else ""
    until = f", until in {duration(wait.until - now)}" if wait.until is not None else ""
    yield f"Waits: {reason.title} ({reason.id}){since}{until}"
    if wait.jobs:
        yield f"  jobs     {_some(wait.jobs)}"
    yield f"  why      {' '.join(wait.message.split())}"
    for line in wait.details:
        yield f"           - {line}"
    for holder in wait.held_by[:_SHOWN]:
        yield f"  held by  {_holder(holder, now)}"
    if len(wait.held_by) > _SHOWN:
        yield f"           and {len(wait.held_by) - _SHOWN} more runs"
    if reason.remedy:
        yield f"  do       {reason.remedy}"
    for holder in wait.held_by[:1]:
        yield f"           gradient cancel {holder.run} -n {holder.namespace}"


def _holder(holder: Holder, now: float) -> str:
    since = f", for {duration(now - holder.since)}" if holder.since is not None else ""
    return f"run {holder.run} in namespace {holder.namespace}: {holder.what}{since}"


def _working(found: Diagnosis, now: float) -> Iterator[str]:
    yield "Works"
    for job in found.working[:_SHOWN]:
        place = f" on {job.node}" if job.node else ""
        yield f"  {job.name}: {job.phase}{place}, for {duration(job.elapsed(now)) or '0s'}"
    if len(found.working) > _SHOWN:
        yield f"  and {len(found.working) - _SHOWN} more jobs"


def _cause(cause: Cause, now: float, *, first: bool) -> Iterator[str]:
    reason = reason_of(cause.reason)
    what = f"job {cause.job}, attempt {cause.attempt}: " if cause.job else ""
    when = f", {ago(cause.at, now)}" if cause.at is not None else ""
    yield f"{'Failed first' if first and cause.job else 'Because'}: {what}{reason.id}{when}"
    yield f"  why      {cause.message}"
    for line in cause.log[-_LOG_LINES:]:
        yield f"           | {line}"
    if reason.remedy:
        yield f"  do       {reason.remedy}"


def _ended(found: Diagnosis) -> Iterator[str]:
    yield "Not run"
    for name, jobs in found.ended.items():
        yield f"  {_some(jobs)}: {reason_of(name).means} ({name})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def as_json(found: Diagnosis, now: float) -> dict[str, Any]:
    """The same for scripts; times are RFC 3339, durations seconds."""
    return {
        **run_summary(found.run, now),
        "waits": [_wait_json(wait, now) for wait in found.waits],
        "working": [
            {"job": job.name, "phase": job.phase, "node": job.node} for job in found.working
        ],
        "transfers": {job: said.to_json() for job, said in found.moving.items()},
        "causes": [_cause_json(cause) for cause in found.causes],
        "ended": {name: list(jobs) for name, jobs in found.ended.items()},
        "next": [command for command, _ in hints(found.run)],
    }


def _wait_json(wait: Wait, now: float) -> dict[str, Any]:
    reason = reason_of(wait.reason)
    return {
        "reason": wait.reason,
        "kind": reason.kind,
        "title": reason.title,
        "jobs": list(wait.jobs),
        "since": format_time(wait.since),
        "seconds": None if wait.since is None else round(now - wait.since, 3),
        "until": format_time(wait.until),
        "message": wait.message,
        "details": list(wait.details),
        "heldBy": [
            {
                "run": holder.run,
                "namespace": holder.namespace,
                "what": holder.what,
                "since": format_time(holder.since),
            }
            for holder in wait.held_by
        ],
        "remedy": reason.remedy,
    }


def _cause_json(cause: Cause) -> dict[str, Any]:
    return {
        "job": cause.job,
        "attempt": cause.attempt,
        "reason": cause.reason,
        "message": cause.message,
        "exitCode": cause.exit_code,
        "at": format_time(cause.at),
        "log": list(cause.log),
        "remedy": reason_of(cause.reason).remedy,
    }
