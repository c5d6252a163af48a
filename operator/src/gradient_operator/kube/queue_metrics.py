"""What the keyed queue reports about itself, under client-go's names.

Apart from the queue so that the queue's rules can be read without the counting; without metrics
every call does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.observability.metrics import Metrics


class QueueMeter:
    """Bound to one queue's label; gauges are read from the queue when they are scraped."""

    def __init__(
        self,
        metrics: Metrics | None,
        *,
        name: str,
        depth: Callable[[], int],
        unfinished: Callable[[], tuple[float, float]],
        oldest: Callable[[], float],
    ) -> None:
        self._on = metrics is not None
        if metrics is None:
            return
        self._adds = metrics.workqueue_adds_total.labels(name=name)
        self._retries = metrics.workqueue_retries_total.labels(name=name)
        self._waited = metrics.workqueue_queue_duration_seconds.labels(name=name)
        self._worked = metrics.workqueue_work_duration_seconds.labels(name=name)
        metrics.workqueue_depth.labels(name=name).set_function(depth)
        metrics.workqueue_oldest_key_age_seconds.labels(name=name).set_function(oldest)
        metrics.workqueue_unfinished_work_seconds.labels(name=name).set_function(
            lambda: unfinished()[0]
        )
        metrics.workqueue_longest_running_processor_seconds.labels(name=name).set_function(
            lambda: unfinished()[1]
        )

    def added(self) -> None:
        """A key came in that did not wait yet."""
        if self._on:
            self._adds.inc()

    def retried(self) -> None:
        """A key comes back after a failure."""
        if self._on:
            self._retries.inc()

    def started(self, seconds: float) -> None:
        """A worker took a key that had waited for `seconds`."""
        if self._on:
            self._waited.observe(seconds)

    def finished(self, seconds: float) -> None:
        """A worker was done with a key after `seconds`."""
        if self._on:
            self._worked.observe(seconds)
