"""Timestamps: RFC 3339 text in the API, seconds since the epoch inside."""

from datetime import UTC, datetime


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
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
