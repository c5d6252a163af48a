"""Whole operators in a world of their own: a server, nodes, people, and time that costs nothing.

The operator is the real one from its main function's `Operator` down to its connection pool. Only
kopf (its watches of the definition kinds), the endpoints for people and object storage are played.
"""

import asyncio
import contextlib
import copy
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from gradient_operator.config import DefaultStorage, HistorySettings, OperatorConfig
from gradient_operator.controllers import operator as wiring
from gradient_operator.controllers import rim as rims
from gradient_operator.controllers.storage import StorageProbe
from gradient_operator.observability.metrics import Metrics
from gradient_operator.observability.runtime import LoopLag
from tests.builders import WorkflowBuilder
from tests.world.audit import Audit
from tests.world.clock import Stuck, WorldLoop, world_time
from tests.world.line import Line
from tests.world.nodes import Attempt, Fate, Nodes
from tests.world.server import Address, Change, Item, Server

NAMESPACE = "ns"
PATIENCE = 1_800.0
"""World seconds after which a run that has not ended never will."""
QUIET = 2.5
"""World seconds for which nothing may happen to count as the end."""
FINAL = ("Succeeded", "Failed", "Cancelled")
PLURALS = {
    "run": "gradientruns",
    "workflow": "gradientworkflows",
    "dataset": "gradientdatasets",
    "version": "gradientdatasetversions",
    "type": "gradientinstancetypes",
}


@dataclass(eq=False)
class Life:
    """One operator process."""

    line: Line
    task: asyncio.Task[None]


@dataclass(eq=False)
class World:
    """Belongs to one event loop; `fates` says how attempts end that do not just succeed."""

    loop: WorldLoop
    folder: Path
    fates: dict[Attempt, Fate] = field(default_factory=dict)
    pod_finalizer: bool = True
    workers: int = 16

    def __post_init__(self) -> None:
        self.server = Server(self.loop.wall)
        self.nodes = Nodes(self.server, lambda attempt: self.fates.get(attempt, Fate()))
        self.audit = Audit(self.server, self.nodes, self.loop.time)
        self.metrics = Metrics()
        self.lives: list[Life] = []
        self._news = asyncio.Event()
        self.quiet_since = 0.0
        self.server.listeners.append(self._heard)
        for name in ("C4", "P4000"):
            spec = {"name": name, "nodeSelector": {"pool": name}, "cpu": "1", "memory": "2Gi"}
            self.put("type", name.lower(), namespace="", spec=spec)

    def _heard(self, change: Change) -> None:
        self._news.set()
        if change.plural not in ("leases", "events"):
            self.quiet_since = self.loop.time()

    # What people do.

    def put(self, kind: str, name: str, *, namespace: str = NAMESPACE, **parts: Any) -> None:
        address = Address(PLURALS[kind], namespace, name, "")
        self.server.create(address, {"metadata": {"name": name}, **parts}, by="somebody")
        if "status" in parts:
            place = Address(PLURALS[kind], namespace, name, "status")
            self.server.patch(place, {"status": parts["status"]}, by="somebody")

    def start(self, name: str, builder: WorkflowBuilder, **spec: Any) -> None:
        self.put("run", name, spec={"definition": copy.deepcopy(builder.data()), **spec})

    def change(self, kind: str, name: str, **spec: Any) -> None:
        address = Address(PLURALS[kind], NAMESPACE, name, "")
        self.server.patch(address, {"spec": spec}, by="somebody")

    def delete(self, kind: str, name: str) -> None:
        self.server.delete(Address(PLURALS[kind], NAMESPACE, name, ""), {}, by="somebody")

    # What can be seen.

    def status(self, run: str) -> Item:
        found = self.server.objects.get((PLURALS["run"], NAMESPACE, run)) or {}
        return dict(found.get("status") or {})

    def job(self, run: str, job: str) -> Item:
        return dict(self.status(run).get("jobs", {}).get(job, {}))

    def runs(self) -> list[Item]:
        return self.server.all(PLURALS["run"])

    def runs_are_over(self) -> bool:
        return all(run.get("status", {}).get("phase") in FINAL for run in self.runs())

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    # The operator.

    def operate(self, identity: str = "one", *, die_at: int | None = None) -> Life:
        """Start a process; `world.lives[-1]` is the latest."""
        random.seed(len(self.lives))
        line = Line(self.server, by=identity, die_at=die_at)
        config = OperatorConfig(
            history=HistorySettings(archive="off"),
            storage=DefaultStorage(
                endpoint="http://storage", bucket="b", credentials_directory=self.folder
            ),
            pod_finalizer=self.pod_finalizer,
            workers=self.workers,
        )
        operator = wiring.Operator(
            config, line.client(), namespace="op", identity=identity, metrics=self.metrics
        )
        operator._rim.server = self.server  # type: ignore[attr-defined]
        task = asyncio.get_running_loop().create_task(self._live(operator, line))
        life = Life(line, task)
        self.lives.append(life)
        return life

    async def _live(self, operator: wiring.Operator, line: Line) -> None:
        running = asyncio.ensure_future(operator.run())
        death = asyncio.ensure_future(line.dead.wait())
        await asyncio.wait({running, death}, return_when=asyncio.FIRST_COMPLETED)
        line.die()
        death.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await running
            except BaseExceptionGroup as group:
                self.audit.ends.append(group)

    def settled(self) -> bool:
        """Whether every run has ended and nothing is left to be done."""
        for run in self.server.all(PLURALS["run"]):
            if run.get("status", {}).get("phase") not in FINAL or run["metadata"].get("finalizers"):
                return False
        for pod in self.server.all("pods"):
            if pod["metadata"].get("finalizers") or "deletionTimestamp" in pod["metadata"]:
                return False
        return self.loop.time() >= self.quiet_since + QUIET

    async def settle(self, *, again: Callable[[Life], Life | None] = lambda life: None) -> None:
        """Wait for the end of everything; `again` starts the next process when one has died."""
        while not self.settled():
            life = self.lives[-1]
            if life.line.dead.is_set():
                self.quiet_since = self.loop.time()
                assert again(life) is not None, f"the operator has ended: {self.audit.ends}"
            if self.loop.time() > PATIENCE:
                raise AssertionError(f"this never ends: {self.server.all(PLURALS['run'])}")
            await asyncio.sleep(0.25)
        for life in self.lives:
            life.line.die()
        await asyncio.gather(*(life.task for life in self.lives))

    def summary(self) -> dict[str, Any]:
        """What is left in the end, without times: the same whatever happened on the way."""
        runs = {}
        for run in self.server.all(PLURALS["run"]):
            status = run.get("status", {})
            jobs = {
                name: {
                    key: value
                    for key, value in job.items()
                    if key not in ("startedAt", "finishedAt", "readyAt", "retryAt")
                }
                for name, job in status.get("jobs", {}).items()
            }
            known = {key: status.get(key) for key in ("phase", "progress", "message", "volumes")}
            runs[run["metadata"]["name"]] = {**known, "jobs": jobs}
        rest = {
            plural: sorted(item["metadata"]["name"] for item in self.server.all(plural))
            for plural in (
                "persistentvolumeclaims",
                "gradientdatasets",
                "gradientdatasetversions",
                "gradientmodels",
                "secrets",
            )
        }
        latest = {
            item["metadata"]["name"]: item.get("status", {}).get("latest", {}).get("version")
            for item in self.server.all(PLURALS["dataset"])
        }
        return {"runs": runs, "pods": sorted(self.audit.created), "latest": latest, **rest}


class _Endpoints:
    """No port, nobody listens."""

    def __init__(self, *_: object, **__: object) -> None:
        return

    async def start(self, *_: object) -> int:
        return 0

    async def close(self) -> None:
        return


class _Mirror:
    def __init__(self, *_: object, **__: object) -> None:
        return

    def note(self, *_: object) -> None:
        return

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()


class _Store:
    def __init__(self, *_: object, **__: object) -> None:
        return

    async def abort(self, _: str) -> None:
        return

    impatient = None


async def _kopf(rim: Any, **_: Any) -> None:
    """Brings the definition kinds, as kopf's watches do."""
    takers = {
        PLURALS["workflow"]: rim.take_workflow,
        PLURALS["type"]: rim.take_instance_type,
    }
    server: Server = rim.server

    def listen(change: Change) -> None:
        if change.plural in takers:
            takers[change.plural](change.item, gone=change.kind == "DELETED")

    for plural, take in takers.items():
        for item in server.all(plural):
            take(item, gone=False)
    server.listeners.append(listen)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        server.listeners.remove(listen)


async def _nothing(*_: object) -> None:
    return


async def _never(*_: object) -> None:
    await asyncio.get_running_loop().create_future()


@contextlib.contextmanager
def _played() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for target, name, fake in (
            (wiring, "ObservabilityServer", _Endpoints),
            (wiring, "DatasetMirror", _Mirror),
            (wiring, "DefaultStore", _Store),
            (wiring, "freeze_heap", lambda: None),
            (rims, "run", _kopf),
            (StorageProbe, "know", _nothing),
            (StorageProbe, "run", _never),
            (LoopLag, "run", _never),
        ):
            stack.enter_context(mock.patch.object(target, name, fake))
        yield


def in_world(folder: Path, story: Callable[[World], Awaitable[Any]], **options: Any) -> Any:
    """Run a story in a new world, and return what it returns."""
    loop = WorldLoop()

    async def tell() -> Any:
        world = World(loop, folder, **options)
        try:
            return await story(world)
        finally:
            for life in world.lives:
                life.line.die()
            if rest := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in rest:
                    task.cancel()
                await asyncio.wait(rest, timeout=10)

    with world_time(loop), _played():
        try:
            return loop.run_until_complete(tell())
        except Stuck:
            raise AssertionError("nothing happens any more") from None
        finally:
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
