"""What nodes and the operator do to a job with outputs when they break, on real nodes.

A scenario that takes a node away gives it back, also when it fails.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gradient_operator.kube.resources import NODES, PODS
from hack.cluster.profile import Node
from tests.e2e.cluster import Cluster, Seen
from tests.e2e.gate import Place
from tests.e2e.node import (
    evict_below,
    impatient_controllers,
    kill_kubelet,
    require_local,
    send,
    start_kubelet,
)
from tests.e2e.side_by_side import Scenario, UnderWay, each

pytestmark = pytest.mark.asyncio(loop_scope="module")
LABEL = "gradient.run/e2e"
SYSTEM = "gradient-system"
ONE_AT_A_TIME = asyncio.Lock()
"""For what takes the same node away, or must not miss it."""


async def kubelet_is_killed_during_the_upload(place: Place, run: str) -> None:
    """Containers outlive their kubelet; the next one takes them up, with their grace anew."""
    node, _ = await node_without_storage(place)
    async with ONE_AT_A_TIME, movable_machine(place, node.name, f"{run}-here") as machine:
        await place.gate(run, "hold")
        await place.begin(run, machine=machine)
        await place.in_phase(run, "Uploading")
        kill_kubelet(node)
        await asyncio.to_thread(start_kubelet, node)
        await place.gate(run, "open")
        record = await place.ended(run, "Succeeded", attempt=1)
        assert "infraFailures" not in record
        assert await place.times_run(run) == 1


async def operator_is_away_when_the_job_ends(place: Place, run: str) -> None:
    """The result waits in the Pod, even in one that somebody deletes meanwhile."""
    system = Cluster(place.cluster.client, SYSTEM)
    gone = ("-l", "app.kubernetes.io/name=gradient-operator", "--for=delete", "--timeout=120s")
    # Not while another scenario takes a node away: this Pod or the operator's may be on it.
    async with ONE_AT_A_TIME:
        await place.begin(run, "say wait")
        pod = await place.in_phase(run, "Running")
        await asyncio.to_thread(system.kubectl, *scale(0))
        try:
            await asyncio.to_thread(system.kubectl, "wait", "pod", *gone)
            await place.release(run)
            await place.pod(pod, lambda seen: seen["status"]["phase"] == "Succeeded")
            await asyncio.to_thread(
                place.cluster.kubectl, "delete", "pod", pod["metadata"]["name"], "--wait=false"
            )
            await place.pod(pod, lambda seen: "deletionTimestamp" in seen["metadata"])
        finally:
            await asyncio.to_thread(system.kubectl, *scale(1))
        record = await place.ended(run, "Succeeded", attempt=1)
    assert "infraFailures" not in record
    assert await place.times_run(run) == 1


def scale(replicas: int) -> tuple[str, ...]:
    return ("scale", "deployment/gradient-operator", f"--replicas={replicas}")


@asynccontextmanager
async def movable_machine(place: Place, node: str, name: str) -> AsyncIterator[str]:
    """A machine type on one node, whose jobs leave a lost node after two seconds."""
    gone = [
        {
            "key": f"node.kubernetes.io/{why}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 2,
        }
        for why in ("not-ready", "unreachable")
    ]
    spec = {"nodeSelector": {LABEL: name}, "tolerations": gone}
    async with place.cluster.machine_type(name, spec):
        try:
            await label(place, node, name)
            yield name
        finally:
            for item in await nodes(place):
                await label(place, item["metadata"]["name"], None)


async def nodes(place: Place) -> list[Seen]:
    return (await place.cluster.client.list_all(NODES)).items


async def label(place: Place, node: str, value: str | None) -> None:
    body = {"metadata": {"labels": {LABEL: value}}}
    await place.cluster.client.merge_patch(NODES, body, name=node)


async def node_without_storage(place: Place) -> tuple[Node, str]:
    """A node that can be missed, and the other one."""
    server = await place.cluster.client.get(PODS, name="seaweedfs-0", namespace=SYSTEM)
    other = server["spec"]["nodeName"]
    names = [each["metadata"]["name"] for each in await nodes(place)]
    return require_local(next(name for name in names if name != other)), other


async def node_runs_out_of_disk(place: Place, run: str) -> None:
    """The kubelet takes the Pod that uses most, and gives it a second: nothing is uploaded."""
    fills = 'test "$GRADIENT_ATTEMPT" = 2 || { fallocate -l 2G /outputs/d/y; say wait; }; say mark'
    node, _ = await node_without_storage(place)
    async with ONE_AT_A_TIME, movable_machine(place, node.name, f"{run}-here") as machine:
        try:
            await asyncio.to_thread(evict_below, node, spare=1 << 30)
            await place.begin(run, fills, machine=machine)
            record = await place.job(run, lambda job: job.get("infraFailures") == 1)
        finally:
            kill_kubelet(node)
            await asyncio.to_thread(start_kubelet, node)
        assert record["reason"] == "Evicted"
        assert "low on resource: ephemeral-storage" in record["message"]
        await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
        assert await place.times_run(run) == 2


async def node_is_lost(place: Place, run: str) -> None:
    """One job dies with its node, one uploads on unseen: both are run again, and count once."""
    uploads = f"{run}-uploading"
    node, other = await node_without_storage(place)
    async with ONE_AT_A_TIME, movable_machine(place, node.name, f"{run}-here") as machine:
        await place.gate(uploads, "hold")
        await place.begin(run, "say wait", machine=machine)
        await place.begin(uploads, machine=machine)
        pod = await place.in_phase(run, "Running")
        lost = await place.in_phase(uploads, "Uploading")
        assert {pod["spec"]["nodeName"], lost["spec"]["nodeName"]} == {node.name}
        try:
            with impatient_controllers():
                kill_kubelet(node)
                send(pod, "main", signal.SIGKILL)
                send(pod, "uploader", signal.SIGKILL)
                told = await place.job(run, lambda job: job.get("reason") == "NodeSilent")
                assert "does not answer" in told["message"]
                for name in (run, uploads):
                    record = await place.job(name, lambda job: job.get("infraFailures") == 1)
                    assert record["reason"] == "NodeLost"
                    assert node.name in record["message"]
            await place.gate(uploads, "open")
            await place.release(run)
            await label(place, other, machine)
            for name in (run, uploads):
                record = await place.ended(name, "Succeeded", attempt=2, infraFailures=1)
                assert record["node"] == other
                assert await place.times_run(name) == 2
        finally:
            await asyncio.to_thread(start_kubelet, node)
        for former in (pod, lost):
            await asyncio.to_thread(
                place.cluster.kubectl,
                *("wait", "pod", former["metadata"]["name"], "--for=delete", "--timeout=90s"),
            )


FURTHER_RUNS = ("node-is-lost-uploading",)
SCENARIOS: list[Scenario] = [
    kubelet_is_killed_during_the_upload,
    node_runs_out_of_disk,
    node_is_lost,
    operator_is_away_when_the_job_ends,
]


@each(SCENARIOS)
async def test_when(under_way: UnderWay, scenario: Scenario) -> None:
    """The scenario asserts by itself what came of it; what failed in it fails here."""
    await under_way[scenario]
