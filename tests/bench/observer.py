"""Watches Pods and runs of one namespace and stamps what it sees on its own clock.

The clock is the receipt by this client (monotonic): the times in a status have whole seconds, and
what counts is when somebody who looks can know. It parses what the operator parses, on purpose
with the same client.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradient_operator.kube.resources import PODS
from tests.bench.engines import GRADIENT, End
from tests.bench.model import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.kube.client import KubeClient
    from gradient_operator.kube.resources import Resource
    from tests.bench.engines import Engine


@dataclass(slots=True)
class PodSeen:
    """When a Pod was first seen, and when it was first seen finished."""

    created: float
    finished: float | None = None
    released: bool = False
    """Whether it has finished and no finalizer holds it any more."""


@dataclass(slots=True)
class RunSeen:
    """A run's object over time; `writes` are all changes after its creation."""

    created: float
    size: int
    """Bytes of the object as last seen, as JSON."""
    status: int = 0
    """Bytes of its status alone."""
    ended: float | None = None
    writes: int = 0
    stored: int = 0
    """Bytes of all versions that were written after the creation: what the store had to take."""


class Observer:
    """`await begin()`, then let `follow_pods` and `follow_runs` run beside what is observed."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        engine: Engine = GRADIENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pods: dict[str, PodSeen] = {}
        """By the Pod's name: a job that got two Pods shows as one too many."""
        self.jobs: dict[tuple[str, str], PodSeen] = {}
        """By run and job."""
        self.runs: dict[str, RunSeen] = {}
        self.finished_pods = 0
        self.released_pods = 0
        self.ended_runs = 0
        self.interruptions = 0
        """How often a watch had to be opened again, which delays what it shows."""
        self._client = client
        self._namespace = namespace
        self._engine = engine
        self._clock = clock
        self._versions: dict[str, str] = {}
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def begin(self, *, empty: bool = True) -> None:
        """Note where the watches begin; `empty`: there must be nothing yet.

        Raises:
            BenchError: something is left of an earlier load.
        """
        for resource in (PODS, self._engine.resource):
            listed = await self._client.list_all(resource, namespace=self._namespace)
            if listed.items and empty:
                raise BenchError(
                    f"{len(listed.items)} {resource.plural} are left in namespace "
                    f"{self._namespace} from an earlier load"
                )
            self._versions[resource.plural] = listed.resource_version

    async def follow_pods(self) -> None:
        """Watch the Pods, until cancelled.

        Raises:
            BenchError: a Pod failed.
            KubeError: the watch cannot go on.
        """
        await self._follow(PODS, self.see_pod)

    async def follow_runs(self) -> None:
        """Watch the runs, until cancelled.

        Raises:
            BenchError: a run did not succeed.
            KubeError: the watch cannot go on.
        """
        await self._follow(self._engine.resource, self.see_run)

    async def until_finished(self, pods: int) -> None:
        """Wait until so many Pods have finished."""
        await self._until(lambda: self.finished_pods >= pods)

    async def until_released(self, pods: int) -> None:
        """Wait until so many Pods have finished and are held by no finalizer."""
        await self._until(lambda: self.released_pods >= pods)

    async def until_job_finished(self, run: str, job: str) -> None:
        """Wait until a job's Pod has finished."""

        def finished() -> bool:
            seen = self.jobs.get((run, job))
            return seen is not None and seen.finished is not None

        await self._until(finished)

    async def until_ended(self, runs: int) -> None:
        """Wait until so many runs have succeeded."""
        await self._until(lambda: self.ended_runs >= runs)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until an event has made `condition` true; it is asked after each of them."""
        if condition():
            return
        reached = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, reached))
        await reached

    def now(self) -> float:
        """Seconds on the clock of everything that is stamped here."""
        return self._clock()

    def progress(self) -> str:
        """What has been seen so far, for somebody who waits in vain."""
        return (
            f"{self.finished_pods} of {len(self.pods)} Pods seen have finished, "
            f"{self.ended_runs} of {len(self.runs)} runs have ended"
        )

    async def _follow(self, resource: Resource, see: Callable[[dict[str, Any]], None]) -> None:
        """Watch for ever; the server ends the watch of a client that is slow for a moment."""
        version = self._versions[resource.plural]
        while True:
            events = self._client.watch(
                resource, namespace=self._namespace, resource_version=version
            )
            async with aclosing(events):
                async for event in events:
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        see(event["object"])
                        self._wake()
            self.interruptions += 1

    def _wake(self) -> None:
        for entry in [entry for entry in self._waiting if entry[0]()]:
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)

    def see_pod(self, pod: dict[str, Any]) -> None:
        """Note a Pod's state."""
        metadata = pod["metadata"]
        name, job = metadata["name"], self._engine.job_of(pod)
        if job is None:
            return
        seen = self.pods.get(name)
        if seen is None:
            seen = self.pods[name] = PodSeen(self._clock())
            self.jobs.setdefault(job, seen)
        phase = pod["status"].get("phase")
        if phase == "Failed":
            reason = pod["status"].get("message") or pod["status"].get("reason", "")
            raise BenchError(f"Pod {name} failed, which no simulated Pod does by itself: {reason}")
        if phase == "Succeeded" and seen.finished is None:
            seen.finished = self._clock()
            self.finished_pods += 1
        if seen.finished is not None and not seen.released and not metadata.get("finalizers"):
            seen.released = True
            self.released_pods += 1

    def see_run(self, run: dict[str, Any]) -> None:
        """Note a run's state."""
        now = self._clock()
        name, status = run["metadata"]["name"], run.get("status", {})
        size = len(json.dumps(run, separators=(",", ":")))
        seen = self.runs.get(name)
        if seen is None:
            seen = self.runs[name] = RunSeen(now, size)
        else:
            seen.size = size
            seen.writes += 1
            seen.stored += size
        seen.status = len(json.dumps(status, separators=(",", ":")))
        end = self._engine.end_of(run)
        if end is End.BADLY:
            phase = status.get("phase")
            raise BenchError(f"run {name} ended as {phase}: {status.get('message', '')}")
        if end is End.WELL and seen.ended is None:
            seen.ended = now
            self.ended_runs += 1
