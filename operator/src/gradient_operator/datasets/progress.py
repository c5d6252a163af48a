"""Counts what a transfer has done and tells one listener about it, not too often.

The meter is shared by the threads of one transfer. It knows nothing of terminals or logs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """State of a transfer: files and bytes done, and the bytes to do if they are known."""

    files: int
    bytes: int
    total: int | None
    seconds: float = 0.0
    """Since the transfer began."""

    @property
    def rate(self) -> float:
        """Bytes per second on average."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0


Listener = Callable[[Progress], None]


class ProgressMeter:
    """Adds up files and bytes and calls the listener at most once per interval (seconds)."""

    def __init__(
        self,
        listener: Listener | None = None,
        *,
        total: int | None = None,
        interval: float = 5.0,
    ) -> None:
        self._listener = listener
        self._total = total
        self._interval = interval
        self._files = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._due = self._began + interval

    @property
    def value(self) -> Progress:
        """What has been done so far."""
        return Progress(
            files=self._files,
            bytes=self._bytes,
            total=self._total,
            seconds=time.monotonic() - self._began,
        )

    def expect(self, total: int) -> None:
        """Say how many bytes there are to do, once that is known."""
        self._total = total

    def add(self, *, files: int = 0, size: int = 0) -> None:
        """Count finished files and `size` bytes."""
        with self._lock:
            self._files += files
            self._bytes += size
            if self._listener is None:
                return
            now = time.monotonic()
            if now < self._due:
                return
            self._due = now + self._interval
            self._listener(self.value)
