"""A suspended run: what runs goes on, nothing new starts, and the clocks of what waits stand still.

As with a Job of Kubernetes `spec.suspend` may be set and cleared at any time. Unlike there nothing
that runs is stopped: hours of training are not thrown away to make a pause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gradient_operator.engine.model import JobPhase, JobRecord

REASON: Final = "Suspended"


@dataclass(frozen=True, slots=True)
class Suspension:
    """Since when a run is suspended, and for how many seconds it was so before."""

    since: float | None = None
    seconds: float = 0.0

    def seen(self, *, suspended: bool, now: float) -> "Suspension":
        """After a look at the run."""
        if suspended:
            return self if self.since is not None else Suspension(now, self.seconds)
        return self if self.since is None else Suspension(None, self.total(now))

    def total(self, now: float) -> float:
        """All seconds for which it was suspended until now."""
        return self.seconds + (0.0 if self.since is None else max(0.0, now - self.since))


def message(ledger: Mapping[str, JobRecord]) -> str:
    """One sentence about a suspended run."""
    going = sum(
        not record.phase.final and record.phase is not JobPhase.PENDING
        for record in ledger.values()
    )
    rest = f"; {going} under way {'goes' if going == 1 else 'go'} on" if going else ""
    return f"suspended: no job starts until spec.suspend is false again (gradient resume){rest}"
