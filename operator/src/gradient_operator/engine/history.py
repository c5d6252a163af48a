"""Which finished runs go: counts per workflow, and age. Off for nobody, and never the last result.

A workflow's newest ended run stays whatever its age, and so does the one that its status names: a
definition kept in git shows its result for as long as it stands there. Runs that belong to no
workflow go by age alone: nobody can tell which of them belong together.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, at `ended_at` seconds since the epoch."""

    name: str
    succeeded: bool
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many runs of each kind stay, and for how long at the most and at the least."""

    succeeded: int
    failed: int
    seconds: float
    young_seconds: float


def expired(
    runs: Iterable[Ended], limits: Limits, *, now: float, latest: str | None
) -> list[Ended]:
    """The runs of one workflow that go, oldest first.

    `latest` is the run that the workflow's status names, empty if none; None: there is no workflow.
    """
    # Times are whole seconds: among runs that ended in the same one, the workflow's is the newest.
    newest_first = sorted(
        runs, key=lambda run: (run.ended_at, run.name == latest, run.name), reverse=True
    )
    room = {True: limits.succeeded, False: limits.failed}
    gone = []
    for place, run in enumerate(newest_first):
        room[run.succeeded] -= 1
        if latest is not None and (place == 0 or run.name == latest):
            continue
        old = now - run.ended_at >= limits.seconds
        crowded = latest is not None and room[run.succeeded] < 0
        if (old or crowded) and now - run.ended_at >= limits.young_seconds:
            gone.append(run)
    return gone[::-1]
