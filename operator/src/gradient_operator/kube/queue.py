"""The keyed work queue: which object to look at next, never twice at the same time.

Has the semantics of client-go's workqueue: a key that is added while it waits is one entry; one
that is added while a worker has it is handed out again after `done`. Two lanes keep a person's
cancel from waiting behind a fan-out. It knows keys only, and nothing of what is done with them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gradient_operator.kube.queue_metrics import QueueMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.observability.metrics import Metrics

K = TypeVar("K")

_BULK_SHARE: Final = 8
"""Every so many hand-outs the bulk lane goes first, so that it never starves."""


class QueueClosed(Exception):
    """The queue was closed; its workers end."""


class KeyedQueue(Generic[K]):
    """Hands out hashable keys to workers: `get`, work, then `done` in a `finally`.

    Belongs to one event loop. Delays are in seconds; `name` labels the metrics.
    """

    def __init__(
        self,
        *,
        name: str = "queue",
        first_delay: float = 0.005,
        longest_delay: float = 60.0,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._clock = clock
        self._urgent: deque[K] = deque()
        self._bulk: deque[K] = deque()
        self._waiting: dict[K, bool] = {}
        """Keys in a lane; True: the urgent one. Entries of a lane that disagree are stale."""
        self._again: dict[K, bool] = {}
        """Keys that were added while a worker has them; True: urgently."""
        self._since: dict[K, float] = {}
        """When each waiting key was added, oldest first."""
        self._working: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._due_unless_sooner: dict[K, float] = {}
        self._delayed: list[tuple[float, int, K]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._order = itertools.count()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._handed_out = 0
        self._active_at = clock()
        self._closed = False
        self._meter = QueueMeter(
            metrics,
            name=name,
            depth=lambda: self.depth,
            unfinished=self._unfinished,
            oldest=self.oldest_age,
        )

    @property
    def depth(self) -> int:
        """How many keys wait for a worker; those that a worker has do not count."""
        return len(self._waiting)

    @property
    def delayed(self) -> int:
        """How many wishes for a look later there are."""
        return len(self._due) + len(self._due_unless_sooner)

    def is_due(self, key: K) -> bool:
        """Whether there will be a look later that was asked for with `unless_sooner`."""
        return key in self._due_unless_sooner

    def oldest_age(self) -> float:
        """Seconds for which the longest waiting key has waited; 0 when none waits."""
        return self._clock() - next(iter(self._since.values())) if self._since else 0.0

    def quiet_for(self) -> float:
        """Seconds since there was something to do; 0 while a key waits or is worked on."""
        return 0.0 if self._waiting or self._working else self._clock() - self._active_at

    def add(self, key: K, *, urgent: bool = False, first: bool = False) -> None:
        """Ask for a look at `key`: at once, or after the look that is going on.

        `first`: before all that wait, urgent or not, as somebody's cancellation is.
        """
        if self._closed:
            return
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif key not in self._waiting:
            self._enqueue(key, urgent=urgent)
        elif urgent and not self._waiting[key]:
            self._waiting[key] = True  # the entry in the bulk lane is stale from here on
            self._urgent.append(key)
        if first and self._waiting.get(key):
            self._urgent.appendleft(key)  # its other entry is passed over when it comes
        if key not in self._since:
            self._since[key] = self._clock()
            self._meter.added()

    def add_after(self, key: K, seconds: float, *, unless_sooner: bool = False) -> None:
        """Ask for a look in `seconds`; of several such wishes for a key the earliest counts.

        `unless_sooner`: a look that begins before then is as good, and the wish is forgotten.
        """
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock() + seconds
        wishes = self._due_unless_sooner if unless_sooner else self._due
        if due < wishes.get(key, float("inf")):
            wishes[key] = due
            heapq.heappush(self._delayed, (due, next(self._order), key))
            if due < self._timer_due:
                self._arm()

    def add_rate_limited(self, key: K) -> None:
        """Ask for another look after a failure: later with every failure since `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._meter.retried()
        # Beyond 2 to the 32nd every cap is reached, and the float would overflow some day.
        self.add_after(key, min(self._first_delay * 2.0 ** min(failures, 32), self._longest_delay))

    def forget(self, key: K) -> None:
        """The look succeeded: the next failure of `key` counts as its first."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key and take it; no other worker gets it before `done(key)`.

        Raises:
            QueueClosed: the queue was closed; what still waits is left to the next process.
        """
        while not self._waiting and not self._closed:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter in self._getters:
                    self._getters.remove(getter)
                if self._waiting:
                    self._wake()  # this getter's turn must not get lost with it
                raise
        if self._closed:
            raise QueueClosed
        return self._take()

    def done(self, key: K) -> None:
        """The worker has finished with `key`, well or not; what was added meanwhile is due.

        Raises:
            ValueError: no worker has `key`.
        """
        if key not in self._working:
            raise ValueError(f"{key!r} is not being worked on: call done once per get")
        self._active_at = self._clock()
        self._meter.finished(self._active_at - self._working.pop(key))
        if key in self._again:
            self._enqueue(key, urgent=self._again.pop(key))

    def close(self) -> None:
        """End: waiting and later `get`s raise `QueueClosed`, adds do nothing."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._getters:
            self._wake()

    def _enqueue(self, key: K, *, urgent: bool) -> None:
        self._waiting[key] = urgent
        (self._urgent if urgent else self._bulk).append(key)
        self._wake()

    def _take(self) -> K:
        self._handed_out += 1
        first, second = (self._urgent, True), (self._bulk, False)
        if self._handed_out % _BULK_SHARE == 0:
            first, second = second, first
        for lane, urgent in (first, second):
            while lane:
                key = lane.popleft()
                if self._waiting.get(key) is urgent:
                    del self._waiting[key]
                    self._due_unless_sooner.pop(key, None)
                    self._working[key] = now = self._clock()
                    self._meter.started(now - self._since.pop(key))
                    return key
        raise AssertionError("a waiting key stands in no lane")

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _arm(self) -> None:
        """Set the one timer to the earliest delayed key."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_due = None, float("inf")
        if self._delayed:
            self._timer_due = self._delayed[0][0]
            wait = max(self._timer_due - self._clock(), 0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._ripen)

    def _ripen(self) -> None:
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            for wishes in (self._due, self._due_unless_sooner):
                if wishes.get(key) == due:  # otherwise an earlier wish has replaced this one
                    del wishes[key]
                    self.add(key)
        self._arm()

    def _unfinished(self) -> tuple[float, float]:
        """Seconds that the keys at work have taken so far: all together, and the longest."""
        now = self._clock()
        times = [now - start for start in self._working.values()]
        return sum(times), max(times, default=0.0)
