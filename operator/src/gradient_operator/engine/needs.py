"""Whether a job may start: all its needs succeeded, or one of them never will."""

from collections.abc import Iterable, Mapping
from enum import Enum

from gradient_operator.engine.model import JobPhase, JobRecord


class Readiness(Enum):
    """What the needs of a job allow."""

    READY = "ready"
    WAITING = "waiting"
    HOPELESS = "hopeless"


def readiness(needs: Iterable[str], ledger: Mapping[str, JobRecord]) -> tuple[Readiness, str]:
    """The state of the needs, and the need that decides it (empty when all succeeded)."""
    waiting = ""
    for need in needs:
        phase = ledger[need].phase
        if phase.final and phase is not JobPhase.SUCCEEDED:
            return Readiness.HOPELESS, need
        if phase is not JobPhase.SUCCEEDED and not waiting:
            waiting = need
    return (Readiness.WAITING, waiting) if waiting else (Readiness.READY, "")
