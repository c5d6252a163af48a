"""Timestamps: RFC 3339 text in the API, seconds since the epoch inside."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=256)  # what happens in a crowd happens within the same few seconds
def parse_time(text: str | None) -> float | None:
    """Seconds since the epoch; None for an absent or unreadable timestamp."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def format_time(seconds: float | None) -> str | None:
    """`2026-01-31T12:00:00Z`, to whole seconds; None stays None."""
    return None if seconds is None else _format(int(seconds))


@lru_cache(maxsize=256)
def _format(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration(text: str) -> float:
    """Seconds of a duration as `45s`, `36h`, `30d`.

    Raises:
        ValueError: it has another form.
    """
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    if not text[:-1].isdecimal() or text[-1:] not in units:
        raise ValueError(f"{text!r} is no duration: write a number and s, m, h or d, as 36h")
    return float(int(text[:-1]) * units[text[-1]])
