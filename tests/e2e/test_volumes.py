"""Volumes in their three modes on two real nodes, shared by jobs with and without GPU."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from gradient_operator.api.names import API_VERSION
from gradient_operator.kube.resources import CLAIMS
from tests.e2e.cluster import Cluster, command, on, on_gpu, script

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
MEETS = """
    touch /inputs/work/$GRADIENT_JOB
    for _ in $(seq 900); do
        if test -e /inputs/work/left && test -e /inputs/work/right; then exit 0; fi
        sleep 0.1
    done
    echo "the other one did not come"
    exit 1
"""
FILLS = "dd if=/dev/zero of=/outputs/work/big bs=64k count=64"
WORK = {"work": {"type": "volume"}}
TAKES: dict[str, Any] = {"needs": ["first"], "inputs": {"work": "first.outputs.work"}}


def in_a_row(*, gpu_second: bool, third: str) -> dict[str, Any]:
    second = script(READS, **TAKES)
    return {
        "first": script(WRITES, outputs=WORK),
        "second": on_gpu(second) if gpu_second else second,
        "third": script(third, needs=["second"], inputs=TAKES["inputs"]),
    }


def side_by_side() -> dict[str, Any]:
    """One job with a GPU and one without, which each wait for what the other one writes."""
    return {
        "first": script(WRITES, outputs=WORK),
        "left": on_gpu(script(MEETS, **TAKES)),
        "right": script(MEETS, **TAKES),
    }


def two_that_meet(machine: str) -> dict[str, Any]:
    jobs = {
        name: on(machine, script(f"sleep 3; echo {name} >/outputs/work/it", outputs=WORK))
        for name in ("one", "two")
    }
    takes = {"first": "one.outputs.work", "second": "two.outputs.work"}
    check = "test $(cat /inputs/first/it) = one && test $(cat /inputs/second/it) = two"
    return jobs | {"both": on(machine, script(check, needs=["one", "two"], inputs=takes))}


def old_form() -> dict[str, Any]:
    legacy = {"inputs": {"repo": {"type": "volume"}}}
    return {
        "writes": script("echo kept >/inputs/repo/file", **legacy),
        "reads": script('test "$(cat /inputs/repo/file)" = kept', needs=["writes"], **legacy),
    }


def read_only() -> dict[str, Any]:
    return {
        "first": script("echo x >/outputs/work/x", outputs=WORK),
        "second": script("! touch /inputs/work/y 2>/dev/null && cat /inputs/work/x", **TAKES),
    }


def volumes(**policy: Any) -> dict[str, Any]:
    return {"volumes": policy}


async def start(cluster: Cluster) -> None:
    """All runs of this module: none of them minds the others."""
    machine = f"any-{cluster.namespace}"
    body = {
        "apiVersion": API_VERSION,
        "kind": "GradientInstanceType",
        "metadata": {"name": machine},
        "spec": {"name": machine, "cpu": "100m", "memory": "128Mi"},
    }
    cluster.kubectl("apply", "-f", "-", text=json.dumps(body))
    merged = side_by_side()
    for name in ("first", "right"):
        merged[name] = on(machine, merged[name])
    many = volumes(mode="ReadWriteMany", storageClass="shared")
    await asyncio.gather(
        cluster.start("once", in_a_row(gpu_second=False, third=SEES_BOTH)),
        cluster.start("copy", in_a_row(gpu_second=True, third=SEES_ONE)),
        cluster.start("many", side_by_side(), policy=many),
        cluster.start("merged", merged),
        cluster.start("meet", two_that_meet(machine)),
        cluster.start("legacy", old_form()),
        cluster.start(
            "strict", read_only(), policy=volumes(mode="ReadWriteOnce", readOnlyInputs=True)
        ),
        cluster.start("strict-copy", read_only(), policy=volumes(mode="Copy", readOnlyInputs=True)),
    )


@pytest.fixture(scope="module", autouse=True)
def without_the_machine_type(together: str) -> Iterator[None]:
    yield
    command(["kubectl", "delete", "gradientinstancetype", f"any-{together}"])


async def nodes(cluster: Cluster, run: str) -> dict[str, str]:
    """Where each job of the run was."""
    pods = await cluster.pods(run)
    return {job: pod["spec"]["nodeName"] for job, pod in pods.items()}


async def test_on_one_pool_one_claim_is_written_by_all_on_one_node(shared: Cluster) -> None:
    status = await shared.succeeded("once")
    volume = status["volumes"]["first.work"]
    assert volume["mode"] == "ReadWriteOnce"
    assert volume["reason"] == "all its users run on one pool"
    assert len(set((await nodes(shared, "once")).values())) == 1


async def test_on_two_pools_the_volume_travels_as_a_copy(shared: Cluster) -> None:
    status = await shared.succeeded("copy")
    volume = status["volumes"]["first.work"]
    assert volume["mode"] == "Copy"
    assert "different pools" in volume["reason"]
    assert "claim" not in volume
    where = await nodes(shared, "copy")
    assert where["first"] != where["second"]


async def test_with_a_shared_class_jobs_on_two_nodes_write_one_claim_at_once(
    shared: Cluster,
) -> None:
    """The class is a folder that both nodes of this machine see, as a file server's would be."""
    status = await shared.succeeded("many")
    assert status["volumes"]["first.work"]["mode"] == "ReadWriteMany"
    where = await nodes(shared, "many")
    assert where["left"] != where["right"]


async def test_jobs_with_and_without_gpu_meet_on_the_node_of_their_claim(shared: Cluster) -> None:
    """The machine type of the others fits every node: nothing travels."""
    status = await shared.succeeded("merged")
    volume = status["volumes"]["first.work"]
    assert (volume["mode"], volume["reason"]) == (
        "ReadWriteOnce",
        "all its users can run where left must",
    )
    assert set((await nodes(shared, "merged")).values()) == {"gpu-1"}


async def test_two_volumes_that_meet_in_one_job_are_kept_on_one_node(shared: Cluster) -> None:
    """Made at the same time on machines that fit both nodes, they could be bound to two."""
    status = await shared.succeeded("meet")
    claims = {volume["claim"] for volume in status["volumes"].values()}
    assert len(claims) == 1
    assert "both uses both" in status["volumes"]["two.work"]["reason"]


@pytest.mark.parametrize("run", ["legacy", "strict", "strict-copy"])
async def test_other_forms(shared: Cluster, run: str) -> None:
    """The old volume without a source, and inputs that the policy makes read-only."""
    await shared.succeeded(run)


@pytest.fixture
def one_mebibyte(cluster: Cluster, tmp_path: os.PathLike[str]) -> Iterator[str]:
    """A class with one volume in it: a file system of 1 MiB in memory, on the first node."""
    if os.environ.get("CLUSTER") == "existing" or os.geteuid() != 0:
        pytest.skip(
            "mounts a file system on the machine of the nodes: run it as root, and without "
            "CLUSTER=existing, on the cluster of `python3 -m hack.cluster up`"
        )
    name = cluster.namespace
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["cpu-1"]}
    objects = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "1Mi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "local": {"path": str(tmp_path)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
            },
        },
    ]
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "gradient-test", str(tmp_path)]
    command(mount)
    try:
        for item in objects:
            cluster.kubectl("apply", "-f", "-", text=json.dumps(item))
        yield name
        cluster.kubectl("delete", "pv,storageclass", name, "--wait=false")
    finally:
        command(["umount", "--lazy", str(tmp_path)])


async def test_a_full_volume_is_named_with_its_size_and_the_remedy(
    cluster: Cluster, one_mebibyte: str
) -> None:
    policy = volumes(mode="ReadWriteOnce", storageClass=one_mebibyte, size="1Mi")
    await cluster.start("full", {"job": script(FILLS, outputs=WORK)}, policy=policy)
    status = await cluster.ended("full")
    job = status["jobs"]["job"]
    assert (job["reason"], job["exitCode"]) == ("VolumeFull", 1)
    assert job["message"].startswith(
        "the volume at /outputs/work is full: its claim asks for 1Mi, set policy.volumes.size "
    )
    assert "No space left on device" in status["message"]


async def test_no_claim_is_left_when_the_runs_have_ended(shared: Cluster) -> None:
    for run in ("once", "many", "merged", "meet", "legacy", "strict"):
        claims = {volume["claim"] for volume in (await shared.ended(run))["volumes"].values()}
        for claim in claims:
            if await shared.exists(CLAIMS, claim):
                shared.kubectl("wait", "--for=delete", f"pvc/{claim}", "--timeout=60s")
            assert not await shared.exists(CLAIMS, claim)
