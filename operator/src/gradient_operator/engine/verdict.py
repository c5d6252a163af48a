"""The phase of a run from the phases of its jobs, and one sentence about it."""

from collections.abc import Mapping

from gradient_operator.engine.clocks import RUN_OVER
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.workflow.model import CompiledWorkflow


def tolerated(workflow: CompiledWorkflow) -> frozenset[str]:
    """The jobs whose failure is none of the run's: `continue-on-error`."""
    return frozenset(name for name, job in workflow.jobs.items() if job.continue_on_error)


def failed(ledger: Mapping[str, JobRecord], borne: frozenset[str] = frozenset()) -> list[str]:
    """The jobs that make the run fail; `borne` as `tolerated` has them."""
    return [
        name
        for name, record in ledger.items()
        if record.phase is JobPhase.FAILED and name not in borne
    ]


def run_phase(
    ledger: Mapping[str, JobRecord], *, cancel: bool, borne: frozenset[str] = frozenset()
) -> RunPhase:
    """A run ends when its last job has; it failed if one failed, otherwise was cancelled or not."""
    phases = [record.phase for record in ledger.values()]
    if all(phase.final for phase in phases):
        if failed(ledger, borne) or overdue(ledger) is not None:
            return RunPhase.FAILED
        if cancel and JobPhase.CANCELLED in phases:
            return RunPhase.CANCELLED
        return RunPhase.SUCCEEDED
    return RunPhase.RUNNING


def summary(ledger: Mapping[str, JobRecord], *, borne: frozenset[str] = frozenset()) -> str:
    """What a person wants to read first: what failed, else what is waited for, else what runs."""
    over = overdue(ledger)
    if over is not None:
        return over.message or over.reason or ""
    return _failures(ledger, failed(ledger, borne)) or _going(ledger) or _borne(ledger, borne)


def overdue(ledger: Mapping[str, JobRecord]) -> JobRecord | None:
    """A job that was stopped because the run took too long; None: it did not."""
    return next((record for record in ledger.values() if record.reason == RUN_OVER), None)


def _failures(ledger: Mapping[str, JobRecord], names: list[str]) -> str:
    if not names:
        return ""
    record = ledger[names[0]]
    more = f" (and {len(names) - 1} more failed)" if len(names) > 1 else ""
    return f"job {names[0]} failed: {record.message or record.reason}{more}"


def _borne(ledger: Mapping[str, JobRecord], borne: frozenset[str]) -> str:
    said = _failures(ledger, [name for name in failed(ledger) if name in borne])
    return f"{said} (continue-on-error)" if said else ""


def _going(ledger: Mapping[str, JobRecord]) -> str:
    waiting = [
        name
        for name, record in ledger.items()
        if record.message and record.phase in {JobPhase.PENDING, JobPhase.STARTING}
    ]
    if waiting:
        more = f" (and {len(waiting) - 1} more wait)" if len(waiting) > 1 else ""
        record = ledger[waiting[0]]
        state = "is tried again" if record.retry_at is not None else "waits"
        return f"job {waiting[0]} {state}: {record.message}{more}"
    running = [
        name
        for name, record in ledger.items()
        if not record.phase.final and record.phase is not JobPhase.PENDING
    ]
    if running:
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        return f"running: {running[0]}{more}"
    return ""


def progress(ledger: Mapping[str, JobRecord]) -> str:
    """Ended jobs of all, as `3/7`."""
    return f"{sum(record.phase.final for record in ledger.values())}/{len(ledger)}"
