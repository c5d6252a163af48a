"""Logs as one JSON object per line, written by a thread so that a stuck reader stalls nobody.

The line is made where the record is logged (it shows the values of that moment); only the writing
happens elsewhere, through a bounded queue: what does not fit is dropped and counted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from gradient_operator.observability.metrics import Metrics

MAX_WAITING: Final = 10_000
"""Lines that wait for a stuck reader before they are dropped."""

PATIENCE: Final = 2.0
"""Seconds that the end of the program waits for a stuck reader."""

QUIET: Final = {"kopf.objects": logging.WARNING, "asyncio": logging.WARNING}
"""Loggers that speak about every event of every object."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """`ts` (RFC 3339, UTC), `level`, `logger`, `msg`, the fields of `extra=`, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line.setdefault(key, value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class _BoundedHandler(QueueHandler):
    """Puts formatted records into a queue, or counts them as dropped; never waits."""

    def __init__(self, waiting: queue.Queue[Any], metrics: Metrics | None) -> None:
        super().__init__(waiting)
        self._dropped = metrics.log_records_dropped_total if metrics is not None else None

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            super().enqueue(record)
        except queue.Full:
            if self._dropped is not None:
                self._dropped.inc()


class _Writer(threading.Thread):
    """Writes the lines of a queue to a stream until it takes None out of it."""

    def __init__(self, waiting: queue.Queue[Any], stream: TextIO) -> None:
        super().__init__(name="log-writer", daemon=True)
        self._waiting = waiting
        self._stream = stream

    def run(self) -> None:
        while (record := self._waiting.get()) is not None:
            # A reader that went away must not end the program, nor fill what is left of its logs.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(record.getMessage() + "\n")
                self._stream.flush()


class LogPipe:
    """Logging as configured; `close()` writes what waits and undoes the configuration."""

    def __init__(
        self, handler: QueueHandler, waiting: queue.Queue[Any], writer: threading.Thread
    ) -> None:
        self._handler = handler
        self._waiting = waiting
        self._writer = writer

    def close(self) -> None:
        """Write what still waits, for a few seconds at most, then log as Python does by itself."""
        logging.getLogger().removeHandler(self._handler)
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=PATIENCE)
            self._writer.join(PATIENCE)


def configure_logging(
    level: str = "INFO", *, stream: TextIO | None = None, metrics: Metrics | None = None
) -> LogPipe:
    """Send all records of `level` and above to `stream` (standard output) as JSON lines."""
    waiting: queue.Queue[Any] = queue.Queue(MAX_WAITING)
    handler = _BoundedHandler(waiting, metrics)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    writer = _Writer(waiting, stream or sys.stdout)
    writer.start()
    return LogPipe(handler, waiting, writer)
