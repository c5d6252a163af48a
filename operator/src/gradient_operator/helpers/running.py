"""What all helpers do around their task: logs as JSON lines, failures as message and exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    DatasetError,
    ResultError,
    StorageRefusedError,
    TreeError,
)
from gradient_operator.datasets.result import encode_failure
from gradient_operator.exits import ExitCode
from gradient_operator.helpers.environment import SettingsError, termination_log

if TYPE_CHECKING:
    from collections.abc import Callable

_CODES: tuple[tuple[type[DatasetError], ExitCode], ...] = (
    (TreeError, ExitCode.DATA_UNACCEPTABLE),
    (BlobCorruptError, ExitCode.INPUT_CORRUPT),
    (ResultError, ExitCode.INPUT_CORRUPT),
    (BlobMissingError, ExitCode.INPUT_MISSING),
    (StorageRefusedError, ExitCode.STORAGE_REFUSED),
)


_WRITING = threading.Lock()
"""An upload that fails while its time runs out has two threads that tell of it."""


class AbortedError(Exception):
    """The operator asked for the upload to stop."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        body |= getattr(record, "fields", {})
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, ensure_ascii=False)


def start_logging() -> None:
    """Log to standard output, one JSON object a line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def end_on_sigterm() -> None:
    """End at once when the job is cancelled: the kernel drops unhandled signals to a first process.

    There is nothing to tidy up: the container goes with its first process, and the kernel with it
    stops whatever that has started.
    """
    signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(128 + number))


def run(task: Callable[[], None]) -> ExitCode:
    """Run a task; a failure is logged and becomes termination message and exit code."""
    start_logging()
    try:
        task()
    except Exception as error:  # noqa: BLE001  # the last place that can tell the operator
        return fail(error)
    return ExitCode.OK


def fail(error: Exception) -> ExitCode:
    """Log a failure, write it to the termination message and return its exit code."""
    code, reason = classify(error)
    expected = isinstance(error, DatasetError | SettingsError | AbortedError)
    text = str(error) if expected else f"The helper has a defect: {type(error).__name__}: {error}."
    logging.getLogger(__name__).error(
        text,
        extra={"fields": {"reason": reason, "code": int(code)}},
        exc_info=None if expected else error,
    )
    write_message(encode_failure(text, reason))
    return code


def classify(error: Exception) -> tuple[ExitCode, str]:
    """Return the exit code and the CamelCase reason of a failure."""
    if isinstance(error, AbortedError):
        return ExitCode.ABORTED, "Aborted"
    if isinstance(error, SettingsError):
        return ExitCode.FAILED, "SettingsInvalid"
    if isinstance(error, DatasetError):
        for kind, code in _CODES:
            if isinstance(error, kind):
                return code, error.reason
        retry = ExitCode.STORAGE_UNAVAILABLE if error.retryable else ExitCode.FAILED
        return retry, error.reason
    return ExitCode.FAILED, "InternalError"


def write_message(message: bytes) -> None:
    """Write the termination message: once, because the file cannot be replaced by renaming."""
    path = termination_log()
    try:
        with _WRITING, path.open("wb", buffering=0) as file:
            file.write(message)
    except OSError as error:
        logging.getLogger(__name__).warning("The message %s cannot be written: %s", path, error)
