"""When a schedule starts a run, and what becomes of times that passed while no operator looked.

Of times that were missed at most the latest is made up for, and only while it is closer to its own
time than to the next one, and not older than an hour: a job of the night must not begin in the
middle of the working day, and one of every five minutes is about to come anyway. Pure; the times
that were promised come from the workflow's status, so that a restart changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gradient_operator.api.triggers import Schedule
from gradient_operator.workflow.cron import next_time

LATEST_START: Final = 3_600.0
"""Seconds after its time at which a run is not started any more."""
COUNTED: Final = 100
"""Missed times that are counted; beyond that it is only said that there are more."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at a schedule finds; times in seconds since the epoch."""

    next: float | None
    """The next time, later than now; None if none is left."""
    start: float | None = None
    """The time for which a run is to be started now."""
    missed: tuple[float, ...] = ()
    """The first times that nothing was, and nothing will be, started for."""
    more_missed: bool = False
    """Whether there are more of these than were counted."""


def look(schedules: Sequence[Schedule], *, promised: float, now: float) -> Due:
    """What is due; `promised` is the next time as it was found at the last look.

    Raises:
        ScheduleProblem: an entry cannot be read.
    """
    upcoming = first_after(schedules, now)
    if promised > now:
        return Due(next=upcoming)
    since = max(promised, now - LATEST_START)
    latest = max(_times(schedules, since, now), default=None)
    start = latest if latest is not None and _in_time(latest, now, upcoming) else None
    missed: list[float] = []
    for time in _times(schedules, promised, now):
        if len(missed) > COUNTED:
            break
        if time != start:
            missed.append(time)
    return Due(
        next=upcoming,
        start=start,
        missed=tuple(missed[:COUNTED]),
        more_missed=len(missed) > COUNTED,
    )


def first_after(schedules: Sequence[Schedule], after: float) -> float | None:
    """The first time of all entries later than `after`.

    Raises:
        ScheduleProblem: an entry cannot be read.
    """
    return min(
        (time for each in schedules if (time := next_time(each, after)) is not None), default=None
    )


def _in_time(time: float, now: float, upcoming: float | None) -> bool:
    late = now - time
    return late <= LATEST_START and (upcoming is None or late <= (upcoming - time) / 2)


def _times(schedules: Sequence[Schedule], since: float, until: float) -> Iterator[float]:
    """The times of all entries in this span, both ends included, each once, in their order."""
    time = first_after(schedules, since - 1)
    while time is not None and time <= until:
        yield time
        time = first_after(schedules, time)
