"""What a workflow's `on.schedule` calls for now, from its status: a run, a note, the next look.

The status holds the next time as it was last promised. A time is due when that promise has come; a
changed schedule, or one that comes into force again, begins with the next time from then on.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradient_operator.api.times import format_time, parse_time
from gradient_operator.api.triggers import Schedule
from gradient_operator.engine.schedule import LATEST_START, Due, first_after, look

LONGEST_SLEEP: Final = 3_600.0
"""Seconds until the next look at the latest: a clock that was set, or a machine that slept, is
noticed then."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The field `status.schedule`, and what is due; times in seconds since the epoch."""

    status: Mapping[str, Any]
    due: Due

    @property
    def time(self) -> str | None:
        """The time for which a run is to be started now."""
        return format_time(self.due.start)

    def sleep(self, now: float) -> float | None:
        """Seconds until this workflow is to be looked at again."""
        if self.due.next is None:
            return None
        return min(max(self.due.next - now, 0.0), LONGEST_SLEEP)

    def missed(self, started: Callable[[str], bool]) -> str:
        """A sentence about the times for which no run was started; empty if there are none.

        `started` says whether a time has its run: it may have been made just before a crash.
        """
        times = [time for time in self.due.missed if not started(format_time(time) or "")]
        if not times:
            return ""
        count = f"{len(times)}{' or more' if self.due.more_missed else ''}"
        what = "time of its schedule" if count == "1" else "times of its schedule"
        return (
            f"{count} {what} passed while no operator looked, first {format_time(times[0])}: no "
            f"run is started for more than the latest, and that within {LATEST_START:.0f} s and "
            "before half of the time to the next one. Start one by hand: gradient run NAME"
        )


def schedule(
    schedules: Sequence[Schedule],
    *,
    before: Mapping[str, Any],
    created_at: float | None,
    now: float,
) -> Scheduled:
    """Look at the schedules of a workflow.

    `before` is its status so far; `created_at` when it was made, for the first look at it, which
    may come late.

    Raises:
        ScheduleProblem: an entry cannot be read; a valid workflow has none.
    """
    data = [each.model_dump() for each in schedules]
    fingerprint = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    known = before.get("schedule") or {}
    promised = parse_time(known.get("next")) if known.get("hash") == fingerprint else None
    if promised is None:
        fresh = "observedGeneration" not in before and created_at is not None
        promised = first_after(schedules, created_at if fresh and created_at else now)
    due = Due(next=None) if promised is None else look(schedules, promised=promised, now=now)
    status = {
        "hash": fingerprint,
        "next": format_time(due.next),
        "last": format_time(due.start) or known.get("last"),
    }
    return Scheduled({key: value for key, value in status.items() if value is not None}, due)
