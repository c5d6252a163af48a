"""A volume used by three jobs, in each of its three modes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gradient_operator.api.names import API_VERSION
from gradient_operator.kube.resources import INSTANCE_TYPES
from tests.e2e.cluster import Cluster, on_gpu, script

WRITES = """
    set -e
    mkdir -p /outputs/work/deep
    echo first >/outputs/work/first.txt
    printf '#!/bin/sh\\necho runs\\n' >/outputs/work/deep/tool
    chmod +x /outputs/work/deep/tool
    ln -s first.txt /outputs/work/link
"""
READS = """
    set -e
    test "$(cat /inputs/work/link)" = first
    test "$(/inputs/work/deep/tool)" = runs
    echo second >/inputs/work/second-$GRADIENT_JOB.txt
"""
SEES_BOTH = READS + "\ntest -e /inputs/work/second-second.txt\n"
SEES_ONE = READS + "\ntest ! -e /inputs/work/second-second.txt\n"


def three_jobs(*, gpu_second: bool, third: str) -> dict[str, Any]:
    second = script(READS, needs=["first"], inputs={"work": "first.outputs.work"})
    return {
        "first": script(WRITES, outputs={"work": {"type": "volume"}}),
        "second": on_gpu(second) if gpu_second else second,
        "third": script(third, needs=["second"], inputs={"work": "first.outputs.work"}),
    }


async def test_on_one_pool_one_claim_is_written_by_all_on_one_node(cluster: Cluster) -> None:
    await cluster.start("once", three_jobs(gpu_second=False, third=SEES_BOTH))
    status = await cluster.succeeded("once")
    volume = status["volumes"]["first.work"]
    assert volume["mode"] == "ReadWriteOnce"
    assert volume["reason"] == "all its users run on one pool"
    nodes = {pod["spec"]["nodeName"] for pod in (await cluster.pods("once")).values()}
    assert len(nodes) == 1


async def test_on_two_pools_the_volume_travels_as_a_copy(cluster: Cluster) -> None:
    await cluster.start("copy", three_jobs(gpu_second=True, third=SEES_ONE))
    status = await cluster.succeeded("copy")
    volume = status["volumes"]["first.work"]
    assert volume["mode"] == "Copy"
    assert "different pools" in volume["reason"]
    assert "claim" not in volume
    pods = await cluster.pods("copy")
    assert pods["first"]["spec"]["nodeName"] != pods["second"]["spec"]["nodeName"]


async def test_with_a_shared_class_one_claim_is_written_on_two_nodes(cluster: Cluster) -> None:
    policy = {"volumes": {"mode": "ReadWriteMany", "storageClass": "shared"}}
    await cluster.start("many", three_jobs(gpu_second=True, third=SEES_BOTH), policy=policy)
    status = await cluster.succeeded("many")
    assert status["volumes"]["first.work"]["mode"] == "ReadWriteMany"
    pods = await cluster.pods("many")
    assert pods["first"]["spec"]["nodeName"] != pods["second"]["spec"]["nodeName"]


async def test_jobs_that_overlap_on_one_claim_meet_on_its_node(cluster: Cluster) -> None:
    jobs = three_jobs(gpu_second=False, third=READS)
    jobs["third"]["needs"] = ["first"]
    await cluster.start("overlap", jobs)
    await cluster.succeeded("overlap")


@pytest.fixture
async def anywhere(cluster: Cluster) -> AsyncIterator[str]:
    """A machine type that fits every node."""
    name = f"any-{cluster.namespace}"
    body = {
        "apiVersion": API_VERSION,
        "kind": "GradientInstanceType",
        "metadata": {"name": name},
        "spec": {"name": name, "cpu": "100m", "memory": "128Mi"},
    }
    await cluster.client.create(INSTANCE_TYPES, body)
    yield name
    await cluster.client.delete(INSTANCE_TYPES, name=name)


async def test_two_volumes_that_meet_in_one_job_are_kept_on_one_node(
    cluster: Cluster, anywhere: str
) -> None:
    """Made at the same time on machines that fit both nodes, they could be bound to two."""

    def on_any(job: dict[str, Any]) -> dict[str, Any]:
        return {**job, "resources": {"instance-type": anywhere}}

    makes = {"outputs": {"work": {"type": "volume"}}}
    jobs = {
        name: on_any(script(f"sleep 3; echo {name} >/outputs/work/it", **makes))
        for name in ("one", "two")
    }
    takes = {"first": "one.outputs.work", "second": "two.outputs.work"}
    check = "test $(cat /inputs/first/it) = one && test $(cat /inputs/second/it) = two"
    jobs["both"] = on_any(script(check, needs=["one", "two"], inputs=takes))
    await cluster.start("meet", jobs)
    status = await cluster.succeeded("meet")
    claims = {volume["claim"] for volume in status["volumes"].values()}
    assert len(claims) == 1
    assert "both uses both" in status["volumes"]["two.work"]["reason"]


async def test_a_cpu_job_goes_to_the_gpu_node_when_its_volume_is_used_there(
    cluster: Cluster, anywhere: str
) -> None:
    """Its machine type fits every node: then one claim serves both, and nothing travels."""
    jobs = three_jobs(gpu_second=True, third=SEES_BOTH)
    for name in ("first", "third"):
        jobs[name]["resources"] = {"instance-type": anywhere}
    await cluster.start("merged", jobs)
    status = await cluster.succeeded("merged")
    volume = status["volumes"]["first.work"]
    assert (volume["mode"], volume["reason"]) == (
        "ReadWriteOnce",
        "all its users can run where second must",
    )
    nodes = {pod["spec"]["nodeName"] for pod in (await cluster.pods("merged")).values()}
    assert len(nodes) == 1, "second asks for the pool with GPUs, the others follow it"


async def test_the_old_volume_without_a_source_is_shared_by_all(cluster: Cluster) -> None:
    legacy = {"inputs": {"repo": {"type": "volume"}}}
    await cluster.start(
        "legacy",
        {
            "writes": script("echo kept >/inputs/repo/file", **legacy),
            "reads": script('test "$(cat /inputs/repo/file)" = kept', needs=["writes"], **legacy),
        },
    )
    await cluster.succeeded("legacy")


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "Copy"])
async def test_read_only_inputs_by_policy(cluster: Cluster, mode: str) -> None:
    read = {"inputs": {"work": "first.outputs.work"}, "needs": ["first"]}
    await cluster.start(
        "strict",
        {
            "first": script("echo x >/outputs/work/x", outputs={"work": {"type": "volume"}}),
            "second": script("! touch /inputs/work/y 2>/dev/null && cat /inputs/work/x", **read),
        },
        policy={"volumes": {"mode": mode, "readOnlyInputs": True}},
    )
    await cluster.succeeded("strict")
