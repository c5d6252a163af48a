"""Stores the outputs of a job when it has ended: a native sidecar.

SIGTERM means that the job's container has ended; the kubelet sends it to a sidecar for no other
reason that would leave outputs worth keeping. Whether the job succeeded is not known here: the
operator decides, and what nobody commits is garbage that it collects.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gradient_operator.datasets import progress_log
from gradient_operator.datasets.errors import (
    LocalDiskError,
    StorageError,
    StorageUnavailableError,
    TreeError,
)
from gradient_operator.datasets.layout import is_run_id, run_key
from gradient_operator.datasets.pool import CONCURRENCY, Cancellation
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.result import (
    LONGEST_STRING_BYTES,
    UploadResult,
    encode_message,
    write_result,
)
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from gradient_operator.helpers import environment
from gradient_operator.helpers.environment import SettingsError, UploadDirectory, UploadTask
from gradient_operator.helpers.fetch import open_storage, report, sum_up
from gradient_operator.helpers.running import AbortedError, fail, run, write_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.datasets.manifest import Version
    from gradient_operator.datasets.progress import Progress
    from gradient_operator.datasets.report import TransferReport
    from gradient_operator.exits import ExitCode

_log = logging.getLogger(__name__)

ABORT_POLL_SECONDS: Final = 2.0
LONGEST_STOP_SECONDS: Final = 5.0
"""A cancelled transfer that hangs in a request for so long is left behind."""
LONGEST_MARGIN_SECONDS: Final = 30.0
"""Retries end this long before the grace period does; a quarter of a short grace period."""


def main() -> ExitCode:
    """Prepare the outputs, wait for SIGTERM, store everything.

    The signal is blocked from the first moment to the last: an early one waits until it is asked
    for, and a second one changes nothing. The handler is for the kernel, which may drop unhandled
    signals to the first process of a container.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    return run(_main)


def _main() -> None:
    environment.ready_file().unlink(missing_ok=True)
    task = environment.upload_task(environment.required("GRADIENT_UPLOAD"))
    run_id = environment.required("POD_UID")
    if not is_run_id(run_id):
        raise SettingsError(f"The environment variable POD_UID={run_id!r} is not a UID.")
    grace = environment.number("GRADIENT_GRACE_SECONDS", 3600.0)
    for directory in task.directories:
        prepare_directory(directory.path)
    _wait_for_sigterm()
    deadline = Deadline(grace)
    store = open_storage(retry=RetryPolicy(elapsed=float("inf"), deadline=deadline.retry_until))
    with _Watch(store, run_id, deadline) as watch:
        store.renew_keys()  # the kubelet renews the token no longer
        watch.ask()
        result, transfer = _upload(store, task)
        write_result(store, run_id, result)
    write_message(encode_message(result, run_id, transfer=transfer))
    _log.info("all outputs are stored", extra={"fields": {"outputs": len(result.outputs)}})


class Deadline:
    """Times of `time.monotonic` that follow from a grace period (seconds) which begins now."""

    def __init__(self, grace: float) -> None:
        margin = min(LONGEST_MARGIN_SECONDS, grace / 4)
        now = time.monotonic()
        self.grace = grace
        self.retry_until = now + grace - margin
        self.give_up = now + grace - margin / 2
        self.stop_seconds = min(LONGEST_STOP_SECONDS, margin / 4)


def prepare_directory(path: str) -> None:
    """Make a directory that all users may write, and leave alone whatever else stands there.

    Raises:
        LocalDiskError: it cannot be made.
    """
    previous = os.umask(0)
    try:
        Path(path).mkdir(mode=0o777, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ELOOP, errno.ENOTDIR}:
            return
        raise LocalDiskError(
            f"The output directory {path} cannot be made: {error.strerror}.",
            reason="OutputNotPrepared",
        ) from error
    finally:
        os.umask(previous)
    try:
        with suppress(PermissionError):
            os.fchmod(fd, 0o777)
    finally:
        os.close(fd)


def _wait_for_sigterm() -> None:
    """Announce that SIGTERM is expected and sleep until it comes."""
    ready = environment.ready_file()
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.touch()
    _log.info("ready: waiting for the job to end")
    signal.sigwait({signal.SIGTERM})
    _log.info("the job has ended: storing its outputs")


class _Watch:
    """Stops the transfer when the operator asks for it or when the grace period is nearly over.

    Two threads, as a storage that takes requests and never answers must not hide the time.
    """

    def __init__(self, store: BlobStore, run_id: str, deadline: Deadline) -> None:
        self._store = store
        self._probe = store.with_retry(RetryPolicy(elapsed=0), Cancellation())
        self._key = run_key(run_id, "abort")
        self._deadline = deadline
        self._done = threading.Event()
        self._end = threading.Event()
        self._error: Exception = StorageUnavailableError(
            f"The outputs were not stored within the grace period of {deadline.grace:g} s: "
            "raise it, or write less.",
            reason="GracePeriodTooShort",
        )

    def __enter__(self) -> Self:
        self._start(self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._end.set()

    def ask(self) -> None:
        """Ask the storage from now on whether the operator wants an end."""
        self._start(self._ask)

    @staticmethod
    def _start(task: Callable[[], None]) -> None:
        threading.Thread(target=task, name="watch", daemon=True).start()

    def _ask(self) -> None:
        while not self._aborted():
            if self._done.wait(ABORT_POLL_SECONDS):
                return
        self._error = AbortedError("The upload was aborted: its run does not need the outputs.")
        self._end.set()

    def _aborted(self) -> bool:
        try:
            return self._probe.size(self._key) is not None
        except StorageError:
            return False

    def _stop(self) -> None:
        self._end.wait(max(0.0, self._deadline.give_up - time.monotonic()))
        if self._done.is_set():
            return
        error = self._error
        self._store.cancellation.cancel(error)
        if not self._done.wait(self._deadline.stop_seconds):
            os._exit(fail(error))


def _upload(store: BlobStore, task: UploadTask) -> tuple[UploadResult, TransferReport]:
    strings: dict[str, str] = {}
    for string in task.strings:
        value = read_string(string.path)
        if value is not None:
            strings[string.name] = value
    outputs, done = {}, []
    for item in task.directories:
        outputs[item.name], progress = _upload_directory(store, item)
        done.append(progress)
    return UploadResult(outputs=outputs, strings=strings), sum_up(done)


class _Told:
    """Logs how far an upload is; how much there is to do is counted once it takes longer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._counter: threading.Thread | None = None
        self.meter = ProgressMeter(self._tell)

    def _tell(self, progress: Progress) -> None:
        if self._counter is None:
            self._counter = threading.Thread(target=self._count, name="count", daemon=True)
            self._counter.start()
        report(progress_log.UPLOADING, self._path, progress)

    def _count(self) -> None:
        total = 0
        for folder, _, names in os.walk(self._path):
            for name in names:
                with suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many
        self.meter.expect(total)


def _upload_directory(store: BlobStore, item: UploadDirectory) -> tuple[Version, Progress]:
    meter = _Told(item.path).meter
    version = snapshot(
        store,
        item.path,
        base=item.base,
        missing_ok=True,
        concurrency=environment.concurrency(CONCURRENCY),
        progress=meter,
    )
    report(progress_log.UPLOADED, item.path, meter.value)
    return version, meter.value


def read_string(path: str) -> str | None:
    """Read the value of a string output; None if the job did not write it.

    Raises:
        TreeError: it is a link, not a regular file, longer than 64 KiB or not UTF-8.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise _string_error(path, "is a link, pipe or socket: write a regular file") from error
        raise _string_error(path, f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _string_error(path, "is not a regular file")
    with os.fdopen(fd, "rb") as file:
        data = file.read(LONGEST_STRING_BYTES + 1)
    if len(data) > LONGEST_STRING_BYTES:
        raise _string_error(path, "is longer than 64 KiB: use a dataset output for it")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _string_error(path, "is not UTF-8 text: use a dataset output for it") from None


def _string_error(path: str, problem: str) -> TreeError:
    return TreeError(f"The string output {path} {problem}.", reason="StringUnacceptable")
