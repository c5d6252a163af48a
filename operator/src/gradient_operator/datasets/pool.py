"""Runs transfers in a few threads with a bound on how many are under way.

The bound is what keeps memory constant: a task holds one segment or pack, and `submit` blocks the
producer until there is room. The first failure stops the producer at its next `submit`.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from gradient_operator.datasets.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

CONCURRENCY: Final = min(8, max(4, 2 * (os.cpu_count() or 1)))
"""How many segments are under way if nobody says: two for each processor keep them all busy. More
than that costs memory here and, where requests outnumber its processors, time in the server."""


class Cancellation:
    """Lets another thread stop a transfer; the transfer raises what `cancel` was given."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._error: Exception = CancelledError("The transfer was cancelled.")

    def cancel(self, error: Exception | None = None) -> None:
        """Stop the transfer with `error`; only the first call counts."""
        if not self._event.is_set():
            self._error = error or self._error
            self._event.set()

    def check(self) -> None:
        """Raise the error given to `cancel`, if it was called."""
        if self._event.is_set():
            raise self._error

    def pause(self, seconds: float) -> None:
        """Wait, and raise as soon as the transfer is cancelled."""
        if self._event.wait(seconds):
            raise self._error


class TransferPool:
    """A thread pool whose queue is as long as its number of threads: nothing piles up."""

    def __init__(self, concurrency: int) -> None:
        if concurrency < 1:
            raise ValueError("a transfer needs at least one thread")
        self._slots = threading.BoundedSemaphore(concurrency)
        self._concurrency = concurrency
        self._executor = ThreadPoolExecutor(concurrency, thread_name_prefix="transfer")
        self._failure: BaseException | None = None

    def submit(self, task: Callable[[], None]) -> None:
        """Run `task` in a thread; blocks while `concurrency` tasks are under way.

        Raises:
            Exception: what an earlier task raised.
        """
        self._slots.acquire()
        if self._failure is not None:
            self._slots.release()
            raise self._failure
        self._executor.submit(self._run, task)

    def drain(self) -> None:
        """Wait until all tasks have ended and raise what the first failed one raised."""
        for _ in range(self._concurrency):
            self._slots.acquire()
        for _ in range(self._concurrency):
            self._slots.release()
        if self._failure is not None:
            raise self._failure

    def _run(self, task: Callable[[], None]) -> None:
        try:
            if self._failure is None:
                task()
        except BaseException as error:  # noqa: BLE001  # raised again in the producer's thread
            self._failure = self._failure or error
        finally:
            self._slots.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._failure = self._failure or error
        self._executor.shutdown(wait=True)
