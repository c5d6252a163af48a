"""Kubernetes Events (`events.k8s.io/v1`) about our objects, without drowning anyone in them.

A repeated event becomes a series of the first one; what an object may say, and what the operator
may say in all, is limited by token buckets. Recording never blocks and never fails: an Event is
a courtesy, and what is true stands in the status.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from gradient_operator.kube.errors import AlreadyExists, KubeError, NotFound
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.resources import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.kube.client import KubeClient
    from gradient_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

ACTION: Final = "Reconcile"
"""The API demands to name what was done; the reason says the rest."""
MAX_NOTE: Final = 1_024
"""Bytes of a note that the API takes."""
SERIES_LIFE: Final = 360.0
"""Seconds after which a repetition begins a new series, as client-go has it."""
SERIES_PAUSE: Final = 30.0
"""Seconds between two writes of one series' count."""
MAX_WAITING: Final = 1_000
MAX_REMEMBERED: Final = 4_096
"""Series, and objects with a bucket, that are remembered at once; the oldest are forgotten."""
ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The object that an Event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class _Saying:
    """What makes two events the same; the API's own notion, and the note."""

    regarding: ObjectReference
    type: EventType
    reason: str
    note: str


@dataclass(slots=True)
class _Series:
    name: str
    began: str
    last: str
    last_at: float
    count: int = 1
    stored: int = 0
    """The count that the API server has; 0: nothing yet."""
    repeated: bool = False
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Events at once and per second: of one object (as client-go: 25), of all, and normal ones.

    That a thousand jobs went well must neither keep a warning out nor cost as much as the jobs.
    """

    object_burst: int = 25
    object_rate: float = 0.2
    burst: int = 200
    rate: float = 20.0
    normal_burst: int = 100
    normal_rate: float = 5.0


class EventRecorder:
    """Writes Events as `component` (a qualified name), `instance` being this process."""

    def __init__(
        self,
        client: KubeClient,
        *,
        component: str,
        instance: str,
        limits: EventLimits | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._limits = limits or EventLimits()
        self._metrics = metrics
        self._clock = clock
        self._queue: KeyedQueue[_Saying] = KeyedQueue(first_delay=0.5)
        self._series: OrderedDict[_Saying, _Series] = OrderedDict()
        self._all = TokenBucket(rate=self._limits.rate, burst=self._limits.burst, clock=clock)
        self._normal = TokenBucket(
            rate=self._limits.normal_rate, burst=self._limits.normal_burst, clock=clock
        )
        self._buckets: OrderedDict[ObjectReference, TokenBucket] = OrderedDict()

    def record(
        self,
        regarding: ObjectReference,
        *,
        type: EventType,  # noqa: A002 - the API's word
        reason: str,
        note: str,
    ) -> None:
        """Say `note` about an object; `reason` is CamelCase and stable. Returns at once."""
        saying = _Saying(regarding, type, reason, _cut(note))
        series = self._series.get(saying)
        if series is not None and self._clock() < series.last_at + SERIES_LIFE:
            self._repeat(saying, series)
        elif not self._bucket(regarding).try_take():
            self._drop("object_rate")
        elif (type == "Normal" and not self._normal.try_take()) or not self._all.try_take():
            self._drop("rate")
        elif self._queue.depth >= MAX_WAITING:
            self._drop("queue_full")
        else:
            self._begin(saying)

    async def run(self) -> None:
        """Write what was recorded; ends by cancellation, and what then waits is lost."""
        while True:
            saying = await self._queue.get()
            try:
                await self._write(saying)
            finally:
                self._queue.done(saying)

    def _begin(self, saying: _Saying) -> None:
        now = _now()
        # The object's name makes Events of one object stand together in a sorted list.
        name = f"{saying.regarding.name[:230]}.{uuid.uuid4().hex[:16]}"
        self._series[saying] = _Series(name, now, now, self._clock())
        self._series.move_to_end(saying)
        if len(self._series) > MAX_REMEMBERED:
            self._series.popitem(last=False)
        self._queue.add(saying)

    def _repeat(self, saying: _Saying, series: _Series) -> None:
        series.count += 1
        series.last = _now()
        series.last_at = self._clock()
        self._series.move_to_end(saying)
        if series.stored:
            self._write_again(saying, series)

    async def _write(self, saying: _Saying) -> None:
        series = self._series.get(saying)
        if series is None or series.stored == series.count:
            return
        count = series.count
        try:
            if series.stored:
                await self._client.merge_patch(
                    EVENTS,
                    {"series": {"count": count, "lastObservedTime": series.last}},
                    name=series.name,
                    namespace=_namespace(saying),
                    brief=True,
                )
            else:
                await self._create(saying, series, count)
        except NotFound as error:
            # An Event that has passed away is written anew; a vanished namespace has none.
            self._retry(saying, series, error, again=bool(series.stored))
            series.stored = 0
        except KubeError as error:
            self._retry(saying, series, error, again=error.retryable)
        else:
            self._written(saying, series, count)

    async def _create(self, saying: _Saying, series: _Series, count: int) -> None:
        regarding = saying.regarding
        body: dict[str, Any] = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": series.name, "namespace": _namespace(saying)},
            "eventTime": series.began,
            "type": saying.type,
            "reason": saying.reason,
            "note": saying.note,
            "action": ACTION,
            "reportingController": self._component,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
        }
        if count > 1:
            body["series"] = {"count": count, "lastObservedTime": series.last}
        try:
            await self._client.create(EVENTS, body, namespace=_namespace(saying), brief=True)
        except AlreadyExists:
            logger.debug("an event's first answer was lost")  # its name is ours alone

    def _written(self, saying: _Saying, series: _Series, count: int) -> None:
        new = not series.stored
        series.stored = count
        series.attempts = 0
        self._queue.forget(saying)
        if new and self._metrics is not None:
            self._metrics.events_posted_total.labels(saying.type).inc()
        if series.count > count:
            self._write_again(saying, series)

    def _write_again(self, saying: _Saying, series: _Series) -> None:
        """The first repetition shows at once that it goes on; more of them can wait."""
        self._queue.add_after(saying, SERIES_PAUSE if series.repeated else 0)
        series.repeated = True

    def _retry(self, saying: _Saying, series: _Series, error: KubeError, *, again: bool) -> None:
        series.attempts += 1
        if again and series.attempts < ATTEMPTS:
            self._queue.add_rate_limited(saying)
            return
        logger.info("an event could not be written: %s", error)
        self._queue.forget(saying)
        self._series.pop(saying, None)
        self._drop("refused")

    def _bucket(self, regarding: ObjectReference) -> TokenBucket:
        bucket = self._buckets.get(regarding)
        if bucket is None:
            bucket = TokenBucket(
                rate=self._limits.object_rate, burst=self._limits.object_burst, clock=self._clock
            )
            self._buckets[regarding] = bucket
            if len(self._buckets) > MAX_REMEMBERED:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(regarding)
        return bucket

    def _drop(self, reason: str) -> None:
        if self._metrics is not None:
            self._metrics.events_dropped_total.labels(reason).inc()


def _namespace(saying: _Saying) -> str:
    return saying.regarding.namespace or "default"  # where the API keeps those of the cluster


def _cut(note: str) -> str:
    encoded = note.encode()
    if len(encoded) <= MAX_NOTE:
        return note
    return encoded[: MAX_NOTE - 3].decode(errors="ignore") + "…"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
