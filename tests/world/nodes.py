"""The scheduler and the kubelets of a world: every Pod is placed, runs, and ends as it was told."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.world.server import Address, Change, Item, Server

Attempt = tuple[str, str, int]
"""Run, job, attempt."""


@dataclass(frozen=True)
class Fate:
    """How an attempt ends: after `seconds`, with `code`, or evicted, or only when it is deleted."""

    seconds: float = 0.5
    code: int = 0
    evicted: bool = False
    endless: bool = False
    upload: int = 0
    """The uploader's exit code."""


def attempt_of(pod: Item) -> Attempt:
    annotations, labels = pod["metadata"]["annotations"], pod["metadata"]["labels"]
    return (
        annotations["gradient.run/run"],
        annotations["gradient.run/job"],
        int(labels["gradient.run/attempt"]),
    )


def run_uid(pod: Item) -> str:
    return str(pod["metadata"]["labels"]["gradient.run/run-uid"])


@dataclass(eq=False)
class Nodes:
    """`fate` says how an attempt ends; what ended well stands in `succeeded`."""

    server: Server
    fate: Callable[[Attempt], Fate]
    succeeded: set[tuple[str, str]] = field(default_factory=set)
    """UIDs of runs, and their jobs."""
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _deleted: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.listeners.append(self._heard)

    def _heard(self, change: Change) -> None:
        if change.plural != "pods":
            return
        metadata = change.item["metadata"]
        uid = metadata["uid"]
        if change.kind == "ADDED":
            self._deleted[uid] = asyncio.Event()
            task = asyncio.get_running_loop().create_task(self._play(change.item))
            self.tasks[uid] = task
            task.add_done_callback(lambda _: self.tasks.pop(uid, None))
        elif "deletionTimestamp" in metadata and change.item["spec"].get("nodeName"):
            self._deleted[uid].set()

    async def _play(self, pod: Item) -> None:
        address = Address("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], "")
        deleted = self._deleted[pod["metadata"]["uid"]]
        await asyncio.sleep(0.01)
        if not self._here(pod):
            return
        bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": self.server.now()}
        self._write(address, spec={"nodeName": "node-1"}, status={"conditions": [bound]})
        await asyncio.sleep(0.02)
        if not deleted.is_set():
            self._start(address, pod)
            await self._live(address, pod, deleted)
        if deleted.is_set():
            await self._remove(address, pod)
            return
        await deleted.wait()
        await self._remove(address, pod)

    def _here(self, pod: Item) -> bool:
        metadata = pod["metadata"]
        found = self.server.objects.get(("pods", metadata["namespace"], metadata["name"]))
        return (
            found is not None
            and found["metadata"]["uid"] == metadata["uid"]
            and "deletionTimestamp" not in found["metadata"]
        )

    def _start(self, address: Address, pod: Item) -> None:
        running = {"state": {"running": {"startedAt": self.server.now()}}}
        self._status(
            address,
            phase="Running",
            containerStatuses=[{"name": "main", **running}],
            initContainerStatuses=[
                {"name": name, **(running if name == "uploader" else self._ended(0))}
                for name in helpers(pod)
            ],
        )

    async def _live(self, address: Address, pod: Item, deleted: asyncio.Event) -> None:
        fate = self.fate(attempt_of(pod))
        seconds = None if fate.endless else fate.seconds
        try:
            async with asyncio.timeout(seconds):
                await deleted.wait()
        except TimeoutError:
            if fate.evicted:
                self._status(address, phase="Failed", reason="Evicted", message="full")
            else:
                await self._end(address, pod, fate)
            return
        await asyncio.sleep(0.1)
        self._stop(address, pod)

    async def _end(self, address: Address, pod: Item, fate: Fate) -> None:
        main = [{"name": "main", **self._ended(fate.code)}]
        phase = "Succeeded" if fate.code == 0 else "Failed"
        if "uploader" not in helpers(pod):
            self._done(pod, fate)
            self._status(address, phase=phase, containerStatuses=main)
            return
        self._status(address, containerStatuses=main)
        await asyncio.sleep(0.2)
        said = said_by(pod) if fate.upload == 0 and fate.code == 0 else ""
        self._done(pod, fate)
        self._status(
            address,
            phase=phase,
            initContainerStatuses=[
                {"name": name, **self._ended(fate.upload if name == "uploader" else 0, said)}
                for name in helpers(pod)
            ],
        )

    def _done(self, pod: Item, fate: Fate) -> None:
        if fate.code == 0 and fate.upload == 0:
            self.succeeded.add((run_uid(pod), attempt_of(pod)[1]))

    def _stop(self, address: Address, pod: Item) -> None:
        self._status(
            address,
            phase="Failed",
            containerStatuses=[{"name": "main", **self._ended(143)}],
            initContainerStatuses=[
                {"name": name, **self._ended(143 if name == "uploader" else 0)}
                for name in helpers(pod)
            ],
        )

    async def _remove(self, address: Address, pod: Item) -> None:
        await asyncio.sleep(0.01)
        if address.key in self.server.objects:
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
            self.server.delete(address, body, by="kubelet")

    def _ended(self, code: int, message: str = "") -> Item:
        ended = {"exitCode": code, "finishedAt": self.server.now(), "message": message}
        reason = "Completed" if code == 0 else "Error"
        return {
            "state": {"terminated": {**ended, "reason": reason, "startedAt": ended["finishedAt"]}}
        }

    def _status(self, address: Address, **status: Any) -> None:
        self._write(address, status=status)

    def _write(self, address: Address, **parts: Item) -> None:
        if address.key not in self.server.objects:
            return
        status = parts.pop("status", None)
        if parts:
            self.server.patch(address, dict(parts), by="kubelet")
        if status is not None:
            place = Address(address.plural, address.namespace, address.name, "status")
            self.server.patch(place, {"status": status}, by="kubelet")


def helpers(pod: Item) -> list[str]:
    return [item["name"] for item in pod["spec"].get("initContainers", ())]


def said_by(pod: Item) -> str:
    """What the uploader of this Pod says that has brought everything it was told to bring."""
    task: Item = {"directories": [], "strings": []}
    for helper in pod["spec"].get("initContainers", ()):
        for variable in helper.get("env", ()):
            if variable["name"] == "GRADIENT_UPLOAD":
                task = json.loads(variable["value"])
    run, job, _ = attempt_of(pod)
    outputs = {
        item["name"]: {
            "digest": hashlib.sha256(f"{run}/{job}/{item['name']}".encode()).hexdigest(),
            "bytes": 7,
            "files": 1,
        }
        for item in task["directories"]
    }
    strings = {item["name"]: f"{item['name']} of {job}" for item in task["strings"]}
    reference = f"runs/{pod['metadata']['uid']}/result.json"
    return json.dumps({"v": 1, "outputs": outputs, "strings": strings, "ref": reference})
