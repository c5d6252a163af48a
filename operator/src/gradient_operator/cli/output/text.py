"""Small pieces of text: marks of phases, durations, sizes."""

from typing import Final

from gradient_operator.api.sizes import size_text

MARKS: Final = {
    "Succeeded": ("✓", "green"),
    "Failed": ("✗", "red"),
    "Starting": ("●", "yellow"),
    "Running": ("●", "cyan"),
    "Uploading": ("●", "blue"),
    "Pending": ("○", "dim"),
    "Skipped": ("⊘", "dim"),
    "Omitted": ("⊘", "dim"),
    "Cancelled": ("⊘", "magenta"),
}
"""Phase to mark and style; the mark alone says enough where there are no colours."""

ACTIVE: Final = frozenset({"Starting", "Running", "Uploading"})
FINAL: Final = frozenset({"Succeeded", "Failed", "Skipped", "Omitted", "Cancelled"})

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def duration(seconds: float | None) -> str:
    """As `45s`, `1m 05s`, `2h 03m`, `3d 04h`; empty for None."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02}h"


def ago(then: float | None, now: float) -> str:
    """How long ago, as `5m 00s ago`; empty for None."""
    return "" if then is None else f"{duration(now - then)} ago"


def size(count: int | None) -> str:
    """Bytes as `512 B`, `1.5 MiB`; empty for None."""
    return "" if count is None else size_text(count)


def files(count: int | None) -> str:
    """As `1 file`, `12 files`."""
    return f"{count or 0} file{'' if count == 1 else 's'}"


def one_line(text: str) -> str:
    """The first line of a text that has something on it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
