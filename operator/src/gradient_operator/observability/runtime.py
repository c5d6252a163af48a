"""What Python itself may do to a promise of sub-second reactions: a late loop, a long collection.

Twenty thousand live objects make a full collection stop everything for most of a second; the
remedies are rarer collections and a frozen heap once the caches are filled.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import time
from collections import deque
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.observability.metrics import Metrics

INTERVAL: Final = 0.1
"""Seconds between two samples of the loop's lag."""
WINDOW: Final = 10.0
"""Seconds over which the worst lag is remembered."""
THRESHOLDS: Final = (20_000, 20, 50)
"""Allocations before a young collection, and how many of each generation before the next older."""


class LoopLag:
    """Measures how late the event loop serves a timer; start `run()` as a task."""

    def __init__(
        self, metrics: Metrics | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gauge = metrics.event_loop_lag_seconds if metrics is not None else None
        self._clock = clock
        self._samples: deque[float] = deque(maxlen=round(WINDOW / INTERVAL))
        self._sampled_at = clock()

    async def run(self) -> None:
        """Sample for ever."""
        self._sampled_at = self._clock()
        while True:
            await asyncio.sleep(INTERVAL)
            lag = self._since()
            self._sampled_at = self._clock()
            self._samples.append(lag)
            if self._gauge is not None:
                self._gauge.set(lag)

    def worst(self) -> float:
        """Return the longest lag of the last 10 s in seconds, one that still goes on included."""
        return max(self._since(), *self._samples, 0.0)

    def _since(self) -> float:
        return max(self._clock() - self._sampled_at - INTERVAL, 0.0)


def tune_gc() -> None:
    """Collect less often; call it before the caches are filled."""
    gc.set_threshold(*THRESHOLDS)


def freeze_heap() -> None:
    """Take what lives now out of all later collections; call it when the caches are filled."""
    gc.collect()
    gc.freeze()


def observe_gc(metrics: Metrics) -> Callable[[], None]:
    """Measure every pause of the collector; the returned function ends that."""
    pauses = [metrics.gc_pause_seconds.labels(str(generation)) for generation in range(3)]
    started = 0.0

    def on_collection(phase: str, info: dict[str, Any]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            pauses[info["generation"]].observe(time.perf_counter() - started)

    gc.callbacks.append(on_collection)
    return lambda: gc.callbacks.remove(on_collection)


def describe_build(metrics: Metrics) -> None:
    """Say in `build_info` which version runs on which Python."""
    metrics.build_info.labels(version("gradient-operator"), platform.python_version()).set(1)
