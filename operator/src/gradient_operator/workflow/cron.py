"""The times of one entry of `on.schedule`, as Debian's cron has them; nothing of runs.

`cronsim` decides. When clocks go forward, a fixed time that is skipped happens right after the gap;
when they go back, a fixed time that comes twice happens once, at its first coming. Times with a
star for the minute or the hour follow the clock that passes: skipped ones do not happen, repeated
ones happen twice.
"""

from datetime import UTC, datetime, tzinfo
from typing import Final

from gradient_operator.api.triggers import Schedule
from gradient_operator.workflow.nearest import nearest

_FIELDS: Final = 5
_SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXPECTED: Final = "write five fields: minute, hour, day of month, month, day of week"


class ScheduleProblem(ValueError):
    """An entry that cannot be read; `field` is the key that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


def check(schedule: Schedule, *, now: float) -> None:
    """Read an entry; `now`, in seconds since the epoch, is any time after which it must happen.

    Raises:
        ScheduleProblem: the zone is unknown, cron does not read the times, or they never come.
    """
    zone = _zone(schedule)
    text = schedule.cron.strip()
    if text.lower() in _SHORTHANDS:
        message = f"{text!r} is not known here: write {_SHORTHANDS[text.lower()]!r}"
        raise ScheduleProblem("cron", message)
    if len(text.split()) != _FIELDS:
        raise ScheduleProblem("cron", f"{text!r} has {len(text.split())} fields: {_EXPECTED}")
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - most files have no schedule

    try:
        next(CronSim(text, datetime.fromtimestamp(now, tz=zone)))
    except CronSimError as error:
        said = str(error).replace("Bad ", "the field for the ").lower()
        raise ScheduleProblem("cron", f"{text!r}: {said} cannot be read; {_EXPECTED}") from None
    except StopIteration:
        raise ScheduleProblem("cron", f"{text!r} never comes: correct the day or month") from None


def next_time(schedule: Schedule, after: float) -> float | None:
    """The first time later than `after`, both in seconds since the epoch; None if there is none.

    Raises:
        ScheduleProblem: the entry cannot be read; see `check`.
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - most files have no schedule

    zone = _zone(schedule)
    try:
        times = CronSim(schedule.cron.strip(), datetime.fromtimestamp(after, tz=zone))
        # In the hour that comes twice it begins with the first coming, whatever it was given.
        return next((found for each in times if (found := each.timestamp()) > after), None)
    except CronSimError as error:
        raise ScheduleProblem("cron", str(error)) from None


def _zone(schedule: Schedule) -> tzinfo:
    name = schedule.timezone
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415 - as above

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = nearest(name, sorted(available_timezones()), "none is installed")
        message = f"{name!r} is not a time zone, as UTC and Europe/Berlin are; {hint}"
        raise ScheduleProblem("timezone", message) from None
