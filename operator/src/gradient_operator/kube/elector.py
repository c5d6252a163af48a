"""Which of several operators is the active one, decided by a Lease (`coordination.k8s.io`).

The protocol is client-go's, but for who asks when: a leader renews late, and a standby watches the
Lease instead of asking for it (decision 18). Time is measured on this machine's monotonic clock
alone: the timestamps in the Lease are for people. A leader that cannot renew stops calling itself
one (`is_leader`) before any other may take the Lease, whatever hangs.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.kube.backoff import Backoff
from gradient_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    KubeError,
    NotFound,
)
from gradient_operator.kube.reflector import WATCH_TIME
from gradient_operator.kube.resources import LEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.kube.client import KubeClient
    from gradient_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

_SHORTEST_PAUSE: Final = 0.05
"""Seconds between two tries to renew right before the deadline."""


class LeadershipLost(Exception):
    """Another process may lead now: stop writing at once, and end."""


@dataclass(frozen=True, slots=True)
class ElectionTimes:
    """Seconds. A Lease that nobody renews is free after `duration`.

    A leader at work renews every two retry periods, an idle one when four fifths of
    `renew_deadline` have passed since its last renewal; both again every `retry_period` if that
    fails, and both give up at `renew_deadline`.
    """

    duration: float = 18.0
    renew_deadline: float = 16.0
    retry_period: float = 1.0

    @property
    def reserve(self) -> float:
        """What is left until the deadline when an idle leader renews: so long may that fail."""
        return self.renew_deadline / 5

    def pace(self, *, busy: bool) -> float:
        """From one renewal to the next: work slows the API server down, and is worth a reserve."""
        longest = self.renew_deadline - self.reserve
        return min(2 * self.retry_period, longest) if busy else longest

    def __post_init__(self) -> None:
        if not self.retry_period < self.renew_deadline < self.duration:
            raise ValueError(
                f"retry period {self.retry_period} s must be below the renew deadline "
                f"{self.renew_deadline} s, and that below the duration {self.duration} s"
            )


class LeaseElector:
    """Takes, keeps and gives back the Lease `namespace/name` as `identity`.

    Use: `await acquire()`, then work while `await hold()` runs beside it; check `is_leader()`
    before each write; at the end stop the work first and then `await release()`.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: ElectionTimes | None = None,
        metrics: Metrics | None = None,
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`busy` says whether there is work now, for which a leader renews more often."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times or ElectionTimes()
        self._busy = busy
        self._clock = clock
        self._lease: dict[str, Any] | None = None
        """The Lease as last seen, and since when its holder has not renewed it."""
        self._unchanged_since = 0.0
        self._exists = False
        """Whether it was there when it was last asked for: who holds a deleted one still leads."""
        self._version = ""
        self._leading_until = float("-inf")
        if metrics is not None:
            metrics.leader.set_function(lambda: float(self.is_leader()))

    def is_leader(self) -> bool:
        """Whether this process may write now; turns False by the clock alone."""
        return self._clock() < self._leading_until

    @property
    def holder(self) -> str:
        """The identity that the Lease named when it was last seen; empty if none."""
        return str(_spec(self._lease).get("holderIdentity") or "")

    async def acquire(self) -> None:
        """Return when this process leads; errors of the API server only delay it."""
        while True:
            try:
                async with asyncio.timeout(self._times.renew_deadline):
                    if await self._try_to_lead():
                        logger.info("leading", extra={"identity": self._identity})
                        return
            except (KubeError, TimeoutError) as error:
                logger.warning("cannot ask for the lease: %s", error)
                await asyncio.sleep(self._times.retry_period)
            else:
                await self._until_free()

    async def hold(self) -> None:
        """Renew until cancelled.

        Raises:
            LeadershipLost: another process holds the Lease, or it could not be renewed in time.
        """
        failed = False
        while True:
            if failed:
                closer = max(self._remaining() / 4, _SHORTEST_PAUSE)
                pause = min(self._times.retry_period, closer, self._remaining())
                await asyncio.sleep(max(0.0, pause))
            else:
                await self._rest()
            if not self.is_leader():
                raise LeadershipLost(
                    f"the lease {self._namespace}/{self._name} could not be renewed for "
                    f"{self._times.renew_deadline} s"
                )
            try:
                # Half of what is left: a connection that is dead must not use up all of it.
                async with asyncio.timeout(self._remaining() / 2):
                    if not await self._try_to_lead():
                        self._leading_until = float("-inf")
                        raise LeadershipLost(f"{self.holder or 'nobody'} holds the lease now")
                failed = False
            except (KubeError, TimeoutError) as error:
                logger.warning("cannot renew the lease: %s", error)
                failed = True

    async def _rest(self) -> None:
        """Return when the next renewal is due; work that comes meanwhile brings it forward."""
        while True:
            since = self._times.renew_deadline - self._remaining()
            left = self._times.pace(busy=self._busy()) - since
            if left <= 0:
                return
            await asyncio.sleep(min(left, self._times.retry_period))

    async def release(self) -> None:
        """Give the Lease back so that a standby takes over at once; never raises for the API."""
        if not self.is_leader():
            return
        self._leading_until = float("-inf")
        try:
            async with asyncio.timeout(self._times.reserve):
                await self._give_back()
        except (KubeError, TimeoutError) as error:
            logger.warning("cannot give the lease back, a standby has to wait: %s", error)

    async def _give_back(self) -> None:
        """Write that nobody holds it; once more if the version that we know of is not the last.

        The end may come while a renewal is on its way: that was written, and its answer not heard.
        """
        nobody = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            await self._patch(nobody)
        except Conflict:
            await self._look()
            if self.holder == self._identity:
                await self._patch(nobody)

    async def _try_to_lead(self) -> bool:
        """Renew our own Lease, or take a free one; False if another holds it."""
        started = self._clock()
        if self.holder != self._identity or not self.is_leader():
            await self._look()
        if self._is_held():
            return False
        return await (self._take(started) if self._exists else self._create(started))

    async def _until_free(self) -> None:
        """Return when the Lease may be free, by what a watch tells or as its time has passed.

        It asks for nothing while the holder renews. A watch that tells nothing is noticed when
        the holder's time has passed: the Lease is read before it is taken.
        """
        backoff = Backoff(self._times.retry_period, self._times.duration)
        while self._is_held():
            opened = self._clock()
            try:
                if not self._version:
                    await self._look()
                await self._watch()
            except TimeoutError:
                return
            except KubeError as error:
                self._explain(error)
                if isinstance(error, Gone):
                    self._version = ""
            if self._clock() - opened >= self._times.retry_period:
                backoff.reset()
            if self._is_held():
                await asyncio.sleep(min(backoff.next(), max(0.0, self._until_abandoned())))

    async def _watch(self) -> None:
        """Follow the Lease until it is free, or the watch ends.

        Raises:
            TimeoutError: the holder has not renewed it in time, as far as the watch tells.
        """
        loop = asyncio.get_running_loop()
        events = self._client.watch(
            LEASES,
            namespace=self._namespace,
            field_selector=f"metadata.name={self._name}",
            resource_version=self._version,
            timeout_seconds=random.uniform(*WATCH_TIME),  # noqa: S311 - spreads load
        )
        async with asyncio.timeout(self._until_abandoned()) as patience, aclosing(events):
            async for event in events:
                self._hear(event["type"], event["object"])
                if not self._is_held():
                    return
                patience.reschedule(loop.time() + self._until_abandoned())

    def _hear(self, kind: str, item: dict[str, Any]) -> None:
        self._version = item["metadata"]["resourceVersion"]
        if item["metadata"].get("name") != self._name:
            return  # a bookmark
        if kind == "DELETED":
            self._exists = False
        elif kind in ("ADDED", "MODIFIED"):
            self._see(item)

    def _explain(self, error: KubeError) -> None:
        remedy = (
            "; let the Role allow `watch` on it: until then a standby takes over late"
            if isinstance(error, Forbidden)
            else ""
        )
        logger.warning("cannot follow the lease: %s%s", error, remedy)

    async def _look(self) -> None:
        try:
            lease = await self._client.get(LEASES, namespace=self._namespace, name=self._name)
        except NotFound:
            self._exists = False
            return
        self._see(lease)

    def _see(self, lease: dict[str, Any]) -> None:
        if _spec(lease) != _spec(self._lease) or self._lease is None:
            self._unchanged_since = self._clock()
        self._lease = lease
        self._exists = True
        self._version = lease["metadata"]["resourceVersion"]

    def _is_held(self) -> bool:
        """Whether another may lead: it holds the Lease, and so it does if that was deleted."""
        return self.holder not in ("", self._identity) and self._until_abandoned() > 0

    def _until_abandoned(self) -> float:
        """Seconds until the holder has not renewed for as long as it promised to, itself."""
        promised = float(_spec(self._lease).get("leaseDurationSeconds") or self._times.duration)
        return self._unchanged_since + promised - self._clock()

    async def _create(self, started: float) -> bool:
        now = _now()
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._seconds(),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }
        try:
            self._see(await self._client.create(LEASES, body, namespace=self._namespace))
        except AlreadyExists:
            await self._look()
            return False
        self._leading_until = started + self._times.renew_deadline
        return True

    async def _take(self, started: float) -> bool:
        now = _now()
        spec: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._seconds(),
            "renewTime": now,
        }
        if self.holder != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(_spec(self._lease).get("leaseTransitions") or 0) + 1
        try:
            self._see(await self._patch(spec))
        except Conflict:
            await self._look()
            if self.holder != self._identity:
                return False
            if _spec(self._lease).get("renewTime") != now:
                raise  # somebody touched the Lease, ours was not written: this is no renewal
        except NotFound:
            return await self._create(started)
        self._leading_until = started + self._times.renew_deadline
        return True

    async def _patch(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Patch the Lease as last seen: the server refuses if it has changed since."""
        seen = (self._lease or {}).get("metadata", {}).get("resourceVersion")
        body = {"metadata": {"resourceVersion": seen}, "spec": spec}
        return await self._client.merge_patch(
            LEASES, body, namespace=self._namespace, name=self._name
        )

    def _remaining(self) -> float:
        return self._leading_until - self._clock()

    def _seconds(self) -> int:
        return math.ceil(self._times.duration)


def _spec(lease: dict[str, Any] | None) -> dict[str, Any]:
    return (lease or {}).get("spec") or {}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
