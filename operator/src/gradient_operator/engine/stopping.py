"""Which jobs must stop, and why: the run is cancelled, or another combination has failed.

As on GitHub a cancelled run still runs the jobs whose `if` says so: `always()`, `cancelled()`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gradient_operator.engine import condition
from gradient_operator.engine.model import JobPhase, JobRecord, Observation
from gradient_operator.workflow.expression import ExpressionProblem
from gradient_operator.workflow.model import CompiledJob, CompiledWorkflow, Matrix


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a job must stop: what its record then says."""

    reason: str
    message: str | None = None


def stop(
    seen: Observation,
    job: CompiledJob,
    ledger: Mapping[str, JobRecord],
    *,
    failed_sibling: str | None,
) -> Stop | None:
    """Why a job must stop, or not start; None: it need not."""
    if seen.cancel and not _goes_on(seen, job, ledger):
        return Stop("Cancelled")
    if failed_sibling is not None and failed_sibling != job.name:
        return Stop("FailFast", f"{failed_sibling} failed")
    return None


def _goes_on(seen: Observation, job: CompiledJob, ledger: Mapping[str, JobRecord]) -> bool:
    """Whether a job runs in spite of the cancellation; while needs are under way it may yet."""
    if job.condition is None or not job.condition.asks_status:
        return False
    if any(not ledger[need].phase.final for need in job.needs):
        return True
    try:
        return condition.holds(seen.workflow, job, ledger, cancelled=True)
    except ExpressionProblem:
        return False


def failed(
    workflow: CompiledWorkflow, matrix: Matrix, ledger: Mapping[str, JobRecord]
) -> str | None:
    """The first combination whose failure stops the others."""
    if not matrix.fail_fast:
        return None
    return next(
        (
            name
            for name in matrix.jobs
            if ledger[name].phase is JobPhase.FAILED and not workflow.jobs[name].continue_on_error
        ),
        None,
    )
