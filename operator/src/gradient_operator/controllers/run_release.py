"""Lets finished Pods go, beside the way of runs: nothing waits for it but a Pod's own deletion.

A Pod's finalizer keeps its result until the status holds it. Taking a thousand finalizers off
costs as much as making a thousand Pods, so that it is done when the operator has nothing better to
do, or after a while. Who deletes a Pod whose result is recorded (a drain, a namespace that goes)
waits for nothing. What is left to do stands on the Pods themselves; this list is lost with the
process, and made again by the first looks of the next one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

from gradient_operator.controllers.services import NotLeading, PodIndex
from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.errors import KubeError

logger = logging.getLogger(__name__)

QUIET: Final = 0.25
"""Seconds without other work after which the operator has nothing better to do."""
PATIENCE: Final = 30.0
"""Seconds that a finished Pod waits at most while there is other work."""
AT_ONCE: Final = 16
"""Released together: fewer cost more processor time each, more would hold up work that comes."""
RETRY: Final = 5.0
"""Seconds until what failed is tried again."""


class Busy(Protocol):
    """A queue of other work."""

    def quiet_for(self) -> float:
        """Seconds since it last had something to do."""


class Releaser:
    """Takes our finalizer off Pods: `now`, or `later`, when there is time. `run()` is a task."""

    def __init__(
        self,
        pods: PodIndex,
        release: Callable[[PodRecord], Awaitable[None]],
        *,
        is_leader: Callable[[], bool],
        others: Sequence[Busy],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pods = pods
        self._release = release
        self._is_leader = is_leader
        self._others = others
        self._clock = clock
        self._waiting: dict[str, tuple[float, PodRecord]] = {}
        """By UID, with the time from which on it waits; oldest first."""
        self._wanted = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many Pods are to be released when there is time."""
        return len(self._waiting)

    async def settle(self, pods: Iterable[PodRecord]) -> None:
        """Release Pods whose results are recorded: those that somebody deletes at once.

        Raises:
            KubeError: one of those was not released; try again.
            NotLeading: this process may not write any more.
        """
        held = [pod for pod in pods if pod.held]
        for pod in held:
            if not pod.deleting and pod.uid not in self._waiting:
                self._waiting[pod.uid] = self._clock(), pod
                self._wanted.set()
        await self.now(pod for pod in held if pod.deleting)

    async def now(self, pods: Iterable[PodRecord]) -> None:
        """Release Pods at once.

        Raises:
            KubeError: one of them was not released; try again.
            NotLeading: this process may not write any more.
        """
        held = [pod for pod in pods if pod.held]
        if not held:
            return
        if not self._is_leader():
            raise NotLeading
        for pod in held:
            self._waiting.pop(pod.uid, None)
        await asyncio.gather(*(self._release(pod) for pod in held))

    async def run(self) -> None:
        """Release what waits, whenever there is time; ends only by cancellation.

        Raises:
            NotLeading: this process may not write any more.
        """
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            pause = self._pause()
            if pause > 0:
                await asyncio.sleep(pause)
                continue
            oldest = [self._waiting.pop(uid) for uid in list(self._waiting)[:AT_ONCE]]
            await asyncio.gather(*(self._one(since, pod) for since, pod in oldest))

    def _pause(self) -> float:
        """Seconds until the oldest may be released, as far as can be told now."""
        since, _ = next(iter(self._waiting.values()))
        quiet = min(other.quiet_for() for other in self._others)
        return min(QUIET - quiet, since + PATIENCE - self._clock())

    async def _one(self, since: float, pod: PodRecord) -> None:
        known = self._pods.of(pod.namespace, pod.run).get(pod.name)
        if known is None or known.uid != pod.uid or not known.held:
            return  # gone, or released by somebody else
        if not self._is_leader():
            raise NotLeading
        try:
            await self._release(known)
        except KubeError as error:
            logger.warning("Pod %s is released later: %s", pod.name, error)
            self._waiting[pod.uid] = since, known
            await asyncio.sleep(RETRY)
