"""The phase of a run from the phases of its jobs, and one sentence about it."""

from collections.abc import Mapping

from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase


def run_phase(ledger: Mapping[str, JobRecord], *, cancel: bool) -> RunPhase:
    """A run ends when its last job has; it failed if one failed, otherwise was cancelled or not."""
    phases = [record.phase for record in ledger.values()]
    if all(phase.final for phase in phases):
        if JobPhase.FAILED in phases:
            return RunPhase.FAILED
        if cancel and JobPhase.CANCELLED in phases:
            return RunPhase.CANCELLED
        return RunPhase.SUCCEEDED
    return RunPhase.RUNNING


def summary(ledger: Mapping[str, JobRecord]) -> str:
    """What a person wants to read first: what failed, else what is waited for, else what runs."""
    failed = [name for name, record in ledger.items() if record.phase is JobPhase.FAILED]
    if failed:
        record = ledger[failed[0]]
        more = f" (and {len(failed) - 1} more failed)" if len(failed) > 1 else ""
        return f"job {failed[0]} failed: {record.message or record.reason}{more}"
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
