"""The status of a run: built whole, written as the difference to what was acknowledged."""

from collections.abc import Mapping
from typing import Any

from gradient_operator.api.times import format_time
from gradient_operator.controllers import conditions, ledger
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_state import RunState
from gradient_operator.engine import suspension, verdict
from gradient_operator.engine.clocks import RUN_OVER
from gradient_operator.engine.model import RunPhase

_REASONS = {
    RunPhase.PENDING: "Pending",
    RunPhase.RUNNING: "Running",
    RunPhase.SUCCEEDED: "Succeeded",
    RunPhase.CANCELLED: "Cancelled",
}


def build(state: RunState, *, generation: int, now: float) -> dict[str, Any]:
    """The whole status."""
    reason, message = _reason(state), state.message
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "phase": state.phase.value,
        "progress": verdict.progress(state.ledger),
        "message": ledger.cut(message, ledger.FAILURE_MESSAGE_LIMIT) or "",
        "startedAt": format_time(state.started_at),
        "jobs": ledger.dump_jobs(state.ledger, state.dumped),
        "conditions": conditions.merge(
            state.written.get("conditions", ()),
            conditions.of_run(state.phase, reason=reason, message=message, accepted=True),
            generation=generation,
            now=now,
        ),
    }
    if state.pinned:
        status["inputs"] = {text: pinned.dump() for text, pinned in state.pinned.items()}
    if state.volumes:
        status["volumes"] = ledger.dump_volumes(state.volumes)
    status |= ledger.dump_suspension(state.suspension)
    if state.phase.final:
        ends = [record.finished_at for record in state.ledger.values() if record.finished_at]
        status["finishedAt"] = format_time(max(ends, default=now))
    return status


def refused(
    before: Mapping[str, Any], *, reason: str, message: str, generation: int, now: float
) -> dict[str, Any]:
    """The status of a run that can never start."""
    return {
        "observedGeneration": generation,
        "phase": RunPhase.FAILED.value,
        "progress": "0/0",
        "message": ledger.cut(message, ledger.FAILURE_MESSAGE_LIMIT) or "",
        "finishedAt": format_time(now),
        "conditions": conditions.merge(
            before.get("conditions", ()),
            conditions.of_run(RunPhase.FAILED, reason=reason, message=message, accepted=False),
            generation=generation,
            now=now,
        ),
    }


def unstarted(
    view: RunView, *, phase: RunPhase, reason: str, message: str, now: float
) -> dict[str, Any]:
    """The status of a valid run that waits for its turn, or that ended without having had one."""
    status: dict[str, Any] = {
        "observedGeneration": view.generation,
        "phase": phase.value,
        "progress": f"0/{len(view.spec.get('definition', {}).get('jobs', {}))}",
        "message": ledger.cut(message, ledger.FAILURE_MESSAGE_LIMIT) or "",
        "conditions": conditions.merge(
            view.status.get("conditions", ()),
            conditions.of_run(phase, reason=reason, message=message, accepted=True),
            generation=view.generation,
            now=now,
        ),
    }
    if phase.final:
        status["finishedAt"] = format_time(now)
    return status


def _reason(state: RunState) -> str:
    if state.phase is RunPhase.RUNNING and state.suspension.since is not None:
        return suspension.REASON
    if state.phase is RunPhase.FAILED and verdict.overdue(state.ledger) is not None:
        return RUN_OVER
    if state.phase is RunPhase.FAILED:
        failed = verdict.failed(state.ledger, verdict.tolerated(state.workflow))
        return state.ledger[failed[0]].reason or "JobFailed"
    return _REASONS[state.phase]


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) from one status to another; empty when they are equal.

    Lists and plain values are replaced; maps are compared key by key, and a key that is gone
    becomes null.
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if old is value or old == value:
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            patch[key] = difference(old, value)
        else:
            patch[key] = value
    return patch
