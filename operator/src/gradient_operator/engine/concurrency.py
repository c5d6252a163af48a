"""Which run of a concurrency group may start: at most one of them is under way.

As GitHub has it: a new run waits for the one under way; of those that wait only the newest remains;
with `cancel-in-progress` a new run also ends the one under way. Decided from the runs alone, in the
order of their creation (then of their names), so that a restart or another operator decides alike.
A run that was never looked at may not be valid: it keeps its place, but pushes nobody out yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A run of the group that has not ended; `created_at` in seconds since the epoch."""

    uid: str
    name: str
    created_at: float
    started: bool = False
    """Whether its jobs are under way."""
    queued: bool = False
    """Whether it was found valid, and told to wait."""
    leaving: bool = False
    """Whether it is cancelled, deleted or suspended: waiting it does not count."""
    cancels: bool = False
    """Whether it ends the one under way (`cancel-in-progress`)."""

    @property
    def rank(self) -> tuple[float, str]:
        """The order in which runs get their turn."""
        return self.created_at, self.name


@dataclass(frozen=True, slots=True)
class Start:
    """It is this run's turn, or it goes on."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It waits for the run of this name."""

    run: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """The run of this name takes its place."""

    run: str
    in_progress: bool
    """Whether that is so because the newer run cancels what is in progress."""


Turn = Start | Wait | Superseded


def decide(me: Member, others: Sequence[Member]) -> Turn:
    """What becomes of a run; `others` are the group's other runs that have not ended."""
    others = [other for other in others if other.started or not other.leaving]
    newer = [
        other
        for other in others
        if other.rank > me.rank and (other.queued or other.started) and not other.leaving
    ]
    cancelling = [other for other in newer if other.cancels]
    if cancelling:
        return Superseded(max(cancelling, key=_rank).name, in_progress=True)
    if me.started:
        return Start()
    ahead = [other for other in others if other.started or other.rank < me.rank]
    if not ahead:
        return Start()
    waiting = [other for other in newer if not other.started]
    if waiting:
        return Superseded(max(waiting, key=_rank).name, in_progress=False)
    return Wait(min(ahead, key=lambda other: (not other.started, other.rank)).name)


def _rank(member: Member) -> tuple[float, str]:
    return member.rank
