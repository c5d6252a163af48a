"""Counts requests to the API server; what the client calls its observer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

    from gradient_operator.observability.metrics import Metrics


class RequestCounter:
    """Pass an instance as `observer` to `KubeClient`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Looking a label up costs as much as counting: keep what was looked up.
        self._totals: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def __call__(self, verb: str, resource: str, code: int, seconds: float, /) -> None:
        """Note one attempt; `code` 0 means that no answer came."""
        total = self._totals.get((verb, resource, code))
        if total is None:
            total = self._metrics.api_requests_total.labels(verb, resource, str(code))
            self._totals[verb, resource, code] = total
        total.inc()
        duration = self._durations.get((verb, resource))
        if duration is None:
            duration = self._metrics.api_request_duration_seconds.labels(verb, resource)
            self._durations[verb, resource] = duration
        duration.observe(seconds)
