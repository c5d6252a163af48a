"""The lines in which a helper logs how far a transfer is: written there, read by everybody else.

The command line shows them and the operator makes metrics of them. They are read as hostile input:
what cannot be understood says nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gradient_operator.datasets.progress import Progress

FETCHING: Final = "fetching"
FETCHED: Final = "fetched"
UPLOADING: Final = "uploading"
UPLOADED: Final = "uploaded"
LINES: Final = 10
"""How many of a log's last lines hold one of these, whatever else the helper had to say."""
_WORDS: Final = {FETCHING: "fetches", UPLOADING: "uploads"}
_LARGEST: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a helper said last: bytes done and in all (None: not known), and bytes per second."""

    verb: str
    path: str
    bytes: int
    total: int | None
    rate: int

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None if that is not known."""
        return min(1.0, self.bytes / self.total) if self.total else None

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "does": self.verb,
            "path": self.path,
            "bytes": self.bytes,
            "total": self.total,
            "bytesPerSecond": self.rate,
        }


def fields(path: str, progress: Progress) -> dict[str, Any]:
    """A line's fields: files, bytes, bytes per second, seconds, and bytes in all if known."""
    found = {
        "path": path,
        "files": progress.files,
        "bytes": progress.bytes,
        "rate": round(progress.rate),
        "seconds": round(progress.seconds, 1),
    }
    return found if progress.total is None else {**found, "total": progress.total}


def read_line(line: bytes, before: Transfer | None = None) -> Transfer | None:
    """Read one line of a helper's log; what says nothing of a transfer leaves it as it was."""
    try:
        raw = json.loads(line)
        if raw["msg"] in {FETCHED, UPLOADED}:
            return None
        total = raw.get("total")
        return Transfer(
            verb=_WORDS[raw["msg"]],
            path=str(raw["path"]),
            bytes=_number(raw["bytes"]),
            total=None if total is None else _number(total),
            rate=_number(raw["rate"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return before


def _number(raw: Any) -> int:
    number = int(raw)
    if not 0 <= number <= _LARGEST:
        raise ValueError(raw)
    return number
