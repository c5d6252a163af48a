"""What a transfer has moved, as a helper says at its end and the operator counts it.

It stands in the termination message beside the result, and is read as hostile input: what cannot
be understood is not counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

KEY: Final = "transfer"
_LARGEST: Final = 2**62
_FIELDS: Final = {
    "files": "files",
    "bytes": "bytes",
    "hits": "cache_hits",
    "misses": "cache_misses",
    "cached": "cache_bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """Files, bytes and seconds of a helper's work, and what the node's cache was good for."""

    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cache_hits: int = 0
    """Objects that came from the node's cache."""
    cache_misses: int = 0
    cache_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """For a message; what is 0 is left out."""
        numbers: dict[str, Any] = {
            key: getattr(self, name) for key, name in _FIELDS.items() if getattr(self, name)
        }
        return numbers | {"seconds": round(self.seconds, 2)}


def encode_report(report: TransferReport) -> bytes:
    """Write the termination message of a helper that has nothing else to say."""
    return json.dumps({KEY: report.to_json(), "v": 1}, separators=(",", ":")).encode()


def decode_report(message: str) -> TransferReport | None:
    """Read the report out of a termination message; None if there is none."""
    try:
        raw = json.loads(message).get(KEY)
        seconds = raw.get("seconds", 0)
        numbers = {name: raw.get(key, 0) for key, name in _FIELDS.items()}
    except (ValueError, AttributeError, RecursionError):
        return None
    for number in (seconds, *numbers.values()):
        if type(number) not in {int, float} or not 0 <= number <= _LARGEST:
            return None
    counts = {name: int(number) for name, number in numbers.items()}
    return TransferReport(seconds=float(seconds), **counts)
