"""Whether a job may start: all its needs have ended well, or one of them never will.

A job whose `if` asks for the status (`always()`, `failure()`, …) waits until all have ended,
however they did; its condition decides then.
"""

from collections.abc import Mapping
from enum import Enum

from gradient_operator.engine.model import JobPhase, JobRecord
from gradient_operator.workflow.model import CompiledJob, CompiledWorkflow, OutputInput


class Readiness(Enum):
    """What the needs of a job allow."""

    READY = "ready"
    WAITING = "waiting"
    HOPELESS = "hopeless"
    """One has failed, was cancelled or omitted: the job is omitted."""
    SKIPPED = "skipped"
    """One was skipped by its own `if`: so is the job."""


def readiness(
    workflow: CompiledWorkflow, job: CompiledJob, ledger: Mapping[str, JobRecord]
) -> tuple[Readiness, str]:
    """The state of the needs, and the need that decides it (empty when all have ended well)."""
    asks = job.condition is not None and job.condition.asks_status
    waiting = skipped = ""
    for need in job.needs:
        phase = ledger[need].phase
        if not phase.final:
            waiting = waiting or need
        elif asks or went_on(workflow.jobs[need], phase):
            continue
        elif phase is JobPhase.SKIPPED:
            skipped = skipped or need
        else:
            return Readiness.HOPELESS, need
    if skipped:
        return Readiness.SKIPPED, skipped
    # A source may stand behind the needs; where one of these was not run, nobody waited for it.
    waiting = waiting or next(
        (source for source in sources(job) if not ledger[source].phase.final), ""
    )
    return (Readiness.WAITING, waiting) if waiting else (Readiness.READY, "")


def went_on(job: CompiledJob, phase: JobPhase) -> bool:
    """Whether what comes after a job may start: it succeeded, or its failure was to be borne."""
    return phase is JobPhase.SUCCEEDED or (phase is JobPhase.FAILED and job.continue_on_error)


def sources(job: CompiledJob) -> list[str]:
    """The jobs that make its inputs."""
    return [item.job for item in job.inputs if isinstance(item, OutputInput)]


def not_made(job: CompiledJob, ledger: Mapping[str, JobRecord]) -> str:
    """Which input of a ready job was never made, as a sentence; empty if all were.

    Of what comes from the combinations of a matrix one is enough.
    """
    made: dict[str, bool] = {}
    lacking: dict[str, OutputInput] = {}
    for item in job.inputs:
        if isinstance(item, OutputInput):
            slot = item.name.partition("/")[0]
            good = ledger[item.job].phase is JobPhase.SUCCEEDED
            made[slot] = made.get(slot, False) or good
            if not good:
                lacking.setdefault(slot, item)
    for slot, item in lacking.items():
        if not made[slot]:
            how = ledger[item.job].phase.value.lower()
            end = how if how == "failed" else f"was {how}"
            return f"it takes {item.output} of {item.job}, which {end} and made none"
    return ""
