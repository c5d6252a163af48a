"""Plays the kubelets and the storage of many runs at once, and keeps the books.

Every claim gets a volume on the node that the scheduler chose; every Pod succeeds, and its uploader
says what it should. The books tell which Pods came, and what had ended before they came.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import CLAIMS, PODS, Resource
from tests.integration.operator.kubelet import Pod, container, ended, helpers

POLL_SECONDS = 0.1
TYPES = ("played-cpu", "played-gpu")
"""Machine types whose Pods wait for a player, on the nodes of either pool."""


CLASS = "played"
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
_NODE = "volume.kubernetes.io/selected-node"


def storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS},
        "provisioner": "gradient.run/played",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
    }


def machine_types() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "gradient.run/v1alpha1",
            "kind": "GradientInstanceType",
            "metadata": {"name": name},
            "spec": {
                "name": name,
                "nodeSelector": {
                    "gradient.run/simulate": "manual",
                    "gradient.run/pool": name.removeprefix("played-"),
                },
                "tolerations": [{"key": "gradient.run/simulate", "operator": "Exists"}],
            },
        }
        for name in TYPES
    ]


Job = tuple[str, str]
"""A run and the name of a job of it."""


@dataclass
class Player:
    """Ends every Pod of one namespace as soon as it has a node."""

    client: KubeClient
    namespace: str
    pods: dict[Job, list[Pod]] = field(default_factory=dict)
    """Every Pod that ever came, as it was first seen."""
    done_before: dict[Job, frozenset[str]] = field(default_factory=dict)
    """Which jobs of its run had ended when the first Pod of a job was seen."""
    _ended: set[Job] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _played: set[str] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Play for as long as the block lasts."""
        self._task = asyncio.get_running_loop().create_task(self._play())
        try:
            yield
        finally:
            self.check()
            self._task.cancel()

    def check(self) -> None:
        """Say why it plays no more, if that is so."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _play(self) -> None:
        while True:
            listed = await self.client.list_all(
                PODS, namespace=self.namespace, label_selector="gradient.run/run-uid"
            )
            # First the books, of all: what ends below was not over when these came.
            for pod in listed.items:
                self._notice(pod)
            waiting = [pod for pod in listed.items if self._waits(pod)]
            await asyncio.gather(*(self._end(pod) for pod in waiting))
            listed = await self.client.list_all(CLAIMS, namespace=self.namespace)
            unbound = [claim for claim in listed.items if self._lacks_volume(claim)]
            await asyncio.gather(*(self._provide(claim) for claim in unbound))
            await asyncio.sleep(POLL_SECONDS)

    def _notice(self, pod: Pod) -> None:
        if pod["metadata"]["uid"] in self._seen:
            return
        self._seen.add(pod["metadata"]["uid"])
        run, job = key(pod)
        self.pods.setdefault((run, job), []).append(pod)
        over = frozenset(name for owner, name in self._ended if owner == run)
        self.done_before.setdefault((run, job), over)

    def _waits(self, pod: Pod) -> bool:
        return "nodeName" in pod["spec"] and pod["metadata"]["uid"] not in self._played

    async def _end(self, pod: Pod) -> None:
        self._played.add(pod["metadata"]["uid"])
        said = json.dumps(message(pod))
        status = {
            "phase": "Succeeded",
            "containerStatuses": [container("main", ended(0))],
            "initContainerStatuses": [
                container(name, ended(0, message=said if name == "uploader" else ""))
                for name in helpers(pod)
            ],
        }
        # Before it is written: the operator may be quicker than the answer to this request.
        self._ended.add(key(pod))
        await self.client.merge_patch(
            PODS,
            {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status},
            name=pod["metadata"]["name"],
            namespace=self.namespace,
            subresource="status",
        )

    def _lacks_volume(self, claim: dict[str, Any]) -> bool:
        metadata = claim["metadata"]
        chosen = _NODE in metadata.get("annotations", {}) and "volumeName" not in claim["spec"]
        return chosen and metadata["uid"] not in self._played

    async def _provide(self, claim: dict[str, Any]) -> None:
        """Make the volume of a claim; only one node can mount it unless the claim asks for more."""
        metadata, spec = claim["metadata"], claim["spec"]
        self._played.add(metadata["uid"])
        node = metadata["annotations"][_NODE]
        term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
        shared = "ReadWriteMany" in spec["accessModes"]
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": f"played-{metadata['uid']}",
                "labels": {"gradient.run/played-for": self.namespace},
            },
            "spec": {
                "capacity": spec["resources"]["requests"],
                "accessModes": spec["accessModes"],
                "storageClassName": CLASS,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": f"/played/{metadata['uid']}"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": self.namespace,
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
                **({} if shared else {"nodeAffinity": {"required": required}}),
            },
        }
        await self.client.create(VOLUMES, body)

    async def tidy(self) -> None:
        """Remove the volumes, which outlive the namespace."""
        listed = await self.client.list_all(
            VOLUMES, label_selector=f"gradient.run/played-for={self.namespace}"
        )
        for volume in listed.items:
            await self.client.delete(VOLUMES, name=volume["metadata"]["name"])


def key(pod: Pod) -> Job:
    annotations = pod["metadata"]["annotations"]
    return annotations["gradient.run/run"], annotations["gradient.run/job"]


def message(pod: Pod) -> dict[str, Any]:
    """What the uploader of this Pod was told to bring, brought."""
    task: dict[str, Any] = {"directories": [], "strings": []}
    for helper in pod["spec"].get("initContainers", ()):
        for variable in helper.get("env", ()):
            if variable["name"] == "GRADIENT_UPLOAD":
                task = json.loads(variable["value"])
    outputs = {
        item["name"]: {
            "digest": hashlib.sha256(
                f"{pod['metadata']['uid']}/{item['name']}".encode()
            ).hexdigest(),
            "bytes": 7,
            "files": 1,
        }
        for item in task["directories"]
    }
    strings = {item["name"]: f"{item['name']} of {key(pod)[1]}" for item in task["strings"]}
    reference = f"runs/{pod['metadata']['uid']}/result.json"
    return {"v": 1, "outputs": outputs, "strings": strings, "ref": reference}
