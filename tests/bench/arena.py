"""Where loads are run: a namespace and a machine type of the bench's own, on a given cluster.

Whatever the bench makes carries the name of its namespace, and is gone when the bench has ended.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from gradient_operator.api import names
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.resources import (
    CRDS,
    INSTANCE_TYPES,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    RUNS,
)
from tests.bench import definitions, exposition
from tests.bench.engines import GRADIENT
from tests.bench.machine import ROOT
from tests.bench.model import BenchError
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gradient_operator.kube.client import KubeClient
    from gradient_operator.kube.resources import Resource
    from tests.bench.engines import Engine
    from tests.bench.exposition import Scrape
    from tests.bench.model import Sizes

PATIENCE: Final = 60.0
STRANGER_SECONDS: Final = 2.0
"""How long another operator gets to show itself; a working one answers within half a second."""
_REQUESTS: Final = "apiserver_request_total"
_SENT: Final = "apiserver_request_body_size_bytes_sum"


@dataclass(slots=True)
class Arena:
    """What a load is given."""

    client: KubeClient
    kubeconfig: Path
    namespace: str
    machine_type: InstanceTypeSpec
    sizes: Sizes
    folder: Path
    """For configurations and logs of operators."""
    engine: Engine = GRADIENT
    _runs: int = field(default=0)

    def new_run(self, jobs: dict[str, Any]) -> dict[str, Any]:
        """A run to create, under a name that was not used before."""
        self._runs += 1
        return self.engine.submission(f"run-{self._runs}", self.namespace, jobs)

    @property
    def manual_type(self) -> str:
        """The machine type of jobs whose Pods run until the bench says otherwise."""
        return f"{self.namespace}-manual"

    async def scrape(self) -> Scrape:
        """The API server's counters of requests and of the bytes that came with them."""
        text = (await self.client.raw_get("/metrics")).decode()
        return exposition.parse(text, names=(_REQUESTS, _SENT))

    async def clean(self) -> None:
        """Delete all Pods and runs of the namespace; to be called while no operator runs."""
        for resource in (PODS, self.engine.resource):
            items = (await self.client.list_all(resource, namespace=self.namespace)).items
            await asyncio.gather(*(self._remove(resource, item) for item in items))
            await self._await_none(resource)

    async def _remove(self, resource: Resource, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        try:
            if metadata.get("finalizers"):
                await self.client.merge_patch(
                    resource,
                    {"metadata": {"finalizers": None}},
                    name=metadata["name"],
                    namespace=self.namespace,
                )
            await self.client.delete(
                resource, name=metadata["name"], namespace=self.namespace, grace_seconds=0
            )
        except (NotFound, Conflict):
            return

    async def _await_none(self, resource: Resource) -> None:
        async def none() -> None:
            listed = await self.client.list_all(resource, namespace=self.namespace)
            if left := listed.items:
                raise BenchError(
                    f"{len(left)} {resource.plural} do not go away in namespace {self.namespace}: "
                    "see their finalizers"
                )

        await eventually(none, seconds=PATIENCE, pause=0.1, not_yet=BenchError)


def counted_by_server(difference: Scrape) -> dict[tuple[str, str], int]:
    """Granted requests that only an operator sends: of others the same verbs reach other paths."""

    def count(resource: str, subresource: str, verb: str) -> int:
        found = difference.by(_REQUESTS, "resource", "subresource", "verb", "code")
        return sum(
            times
            for key, times in found.items()
            if key[:3] == (resource, subresource, verb) and key[3].startswith("2")
        )

    return {
        ("create", "pods"): count("pods", "", "POST"),
        ("patch", "pods"): count("pods", "", "PATCH"),
        ("patch", "gradientruns"): count("gradientruns", "status", "PATCH"),
    }


def sent_to_runs(difference: Scrape) -> float:
    """Bytes of all patches of runs."""
    return difference.total(_SENT, resource="gradientruns", verb="patch")


@asynccontextmanager
async def arena(
    client: KubeClient, *, kubeconfig: Path, sizes: Sizes, folder: Path, engine: Engine = GRADIENT
) -> AsyncIterator[Arena]:
    """Set the scene, and clear it away whatever happens in it.

    Raises:
        BenchError: the cluster has no simulated nodes, or another operator takes part.
    """
    await _require_simulated_nodes(client)
    await _define_kinds(client)
    name = f"bench-{uuid.uuid4().hex[:8]}"
    machine_type = InstanceTypeSpec(name=name, node_selector={names.LABEL_POOL: "cpu"})
    scene = Arena(client, kubeconfig, name, machine_type, sizes, folder, engine)
    try:
        await client.create(NAMESPACES, {"metadata": {"name": name}})
        manual = {"gradient.run/simulate": "manual", names.LABEL_POOL: "cpu"}
        tolerations = [{"key": "gradient.run/simulate", "operator": "Exists"}]
        by_hand = InstanceTypeSpec(
            name=scene.manual_type, node_selector=manual, tolerations=tolerations
        )
        for spec in (machine_type, by_hand):
            await client.create(
                INSTANCE_TYPES,
                {
                    "apiVersion": names.API_VERSION,
                    "kind": INSTANCE_TYPES.kind,
                    "metadata": {"name": spec.name},
                    "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
                },
            )
        await _require_no_other_operator(scene)
        yield scene
    finally:
        await _clear(scene)


async def _clear(scene: Arena) -> None:
    try:
        await scene.clean()
        await scene.client.delete(NAMESPACES, name=scene.namespace)
    except NotFound:
        pass  # somebody was faster: what is cleaned up goes with the namespace
    finally:
        for name in (scene.namespace, scene.manual_type):
            with suppress(NotFound):
                await scene.client.delete(INSTANCE_TYPES, name=name)


async def _require_simulated_nodes(client: KubeClient) -> None:
    nodes = (await client.list_all(NODES, label_selector="type=kwok")).items
    if not nodes:
        raise BenchError(
            f"{client.server} has no simulated nodes (label type=kwok), and real ones would be "
            "measured instead of the operator: python3 -m hack.cluster up --name simulated"
        )


async def _define_kinds(client: KubeClient) -> None:
    """Apply this checkout's CRDs as kubectl does, and wait until they are served."""
    bodies = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    for body in bodies:
        # kubectl's own name: were it another, fields that a later apply leaves out would stay.
        await client.apply(CRDS, body, name=body["metadata"]["name"], field_manager="kubectl")

    async def served() -> None:
        for name in (body["metadata"]["name"] for body in bodies):
            if not _established(await client.get(CRDS, name=name)):
                raise BenchError(
                    f"the API server does not serve {name}: kubectl describe crd {name}"
                )

    await eventually(served, seconds=PATIENCE, pause=0.1, not_yet=BenchError)


def _established(definition: dict[str, Any]) -> bool:
    # One that was just made has `conditions: null` for a moment.
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


async def _require_no_other_operator(scene: Arena) -> None:
    """Make a run while our operator is not up yet: nobody may answer."""
    jobs = {"Probe": definitions.job(scene.machine_type.name)}
    run = GRADIENT.submission("probe", scene.namespace, jobs)
    name = run["metadata"]["name"]
    await scene.client.create(RUNS, run)
    await asyncio.sleep(STRANGER_SECONDS)
    found = await scene.client.get(RUNS, name=name, namespace=scene.namespace)
    pods = await scene.client.list_all(PODS, namespace=scene.namespace)
    if found.get("status") or pods.items:
        raise BenchError(
            "another operator works on all namespaces of this cluster, and would work on the "
            f"bench's too ({await _leaders(scene.client)}): stop it, or restrict it to its own "
            "with watchNamespace"
        )
    await scene.client.delete(RUNS, name=name, namespace=scene.namespace)


async def _leaders(client: KubeClient) -> str:
    leases = (await client.list_all(LEASES)).items
    held = [
        f"Lease {lease['metadata']['namespace']}/{lease['metadata']['name']} is held by {holder}"
        for lease in leases
        if lease["metadata"]["name"].startswith(names.MANAGER)
        if (holder := lease["spec"].get("holderIdentity"))
    ]
    return "; ".join(held) or "no Lease names it"
