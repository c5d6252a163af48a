"""The cache of a node: the second job there reads from disk, and another namespace does not.

The bytes are counted between the jobs and the object storage, not by the helpers alone.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio

from gradient_operator.datasets.report import TransferReport, decode_report
from tests.e2e.cluster import Cluster, Seen, on, script
from tests.e2e.configuration import configured
from tests.e2e.gate import Place, provider, set_up
from tests.e2e.side_by_side import namespace

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIZE: Final = 20 << 20
OURS, THEIRS = "ours", "theirs"
MAKES = f"""
python3 -c 'import random; open("/outputs/d/x", "wb").write(random.Random(7).randbytes({SIZE}))'
"""
READS = f"test $(stat -c %s /inputs/d/x) = {SIZE}"
DATASET = {"type": "dataset", "with": {"ref": "d"}}


@dataclass(frozen=True, slots=True)
class Reading:
    """A job that has read the dataset: its Pod, and what came from the storage meanwhile."""

    pod: Seen
    bytes: int

    @property
    def report(self) -> TransferReport:
        """What its helper says."""
        fetch = next(
            item for item in self.pod["status"]["initContainerStatuses"] if item["name"] == "fetch"
        )
        found = decode_report(fetch["state"]["terminated"]["message"])
        assert found is not None
        return found

    @property
    def folder(self) -> str:
        """Where on its node its cache is."""
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        return str(volumes["blob-cache"]["hostPath"]["path"])


async def make(cluster: Cluster, which: str) -> None:
    await cluster.start("make", {"make": script(MAKES, outputs={"d": DATASET})}, policy=of(which))
    await cluster.succeeded("make")


async def read(
    place: Place, cluster: Cluster, run: str, which: str, *, machine: str = "C4"
) -> Reading:
    before = await place.bytes_read(which)
    job = on(machine, script(READS, inputs={"d": DATASET}))
    await cluster.start(run, {"read": job}, policy=of(which))
    await cluster.succeeded(run)
    pod = (await cluster.pods(run))["read"]
    return Reading(pod, await place.bytes_read(which) - before)


def of(which: str) -> dict[str, Any]:
    return {"datasets": {"provider": which}}


async def lend(place: Place, other: Cluster) -> None:
    """Give another namespace the same place in the same bucket, through a port of its own."""
    words = ("get", "gradientstorageprovider", OURS, "-o", "json")
    spec = json.loads((await asyncio.to_thread(place.cluster.kubectl, *words)).stdout)["spec"]
    keys = ("get", "secret", "gate-keys", "-o", "json")
    secret = json.loads((await asyncio.to_thread(place.cluster.kubectl, *keys)).stdout)
    theirs = provider(place.cluster.namespace, THEIRS, place.ports[THEIRS], spec["bucket"])
    theirs["spec"]["prefix"] = spec["prefix"]
    copied = {"apiVersion": "v1", "kind": "Secret", "data": secret["data"]}
    for body in (theirs, {**copied, "metadata": {"name": "gate-keys"}}):
        await asyncio.to_thread(other.kubectl, "apply", "-f", "-", text=json.dumps(body))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readings(installed: None) -> AsyncIterator[dict[str, Reading]]:
    async with namespace("node-cache") as cluster, namespace("node-cache-other") as other:
        # A folder of the nodes, which goes with them where they are not this machine.
        folder = f"/var/tmp/gradient-{cluster.namespace}"
        cache = {"blobCache": {"path": folder, "sizeLimit": "1Gi"}}
        try:
            async with configured(cluster, namespacePolicy=cache):
                place = await set_up(cluster, [OURS, THEIRS])
                await lend(place, other)
                await asyncio.gather(make(cluster, OURS), make(other, THEIRS))
                first = await read(place, cluster, "first", OURS)
                same_node = {"kubernetes.io/hostname": first.pod["spec"]["nodeName"]}
                async with cluster.machine_type(
                    cluster.namespace, {"nodeSelector": same_node}
                ) as machine:
                    second, theirs = await asyncio.gather(
                        read(place, cluster, "second", OURS, machine=machine),
                        read(place, other, "other", THEIRS, machine=machine),
                    )
                yield {"first": first, "second": second, "other": theirs}
        finally:
            shutil.rmtree(folder, ignore_errors=True)


async def test_the_second_job_on_a_node_reads_from_its_disk(readings: dict[str, Reading]) -> None:
    first, second = readings["first"], readings["second"]
    assert first.pod["spec"]["nodeName"] == second.pod["spec"]["nodeName"]
    assert first.bytes >= SIZE
    assert second.bytes < SIZE / 100, "the manifest, which is always read from the storage"
    assert (first.report.cache_hits, second.report.cache_misses) == (0, 0)
    assert second.report.cache_bytes == SIZE


async def test_a_job_of_another_namespace_does_not_see_it(readings: dict[str, Reading]) -> None:
    """Even of the same bytes, at the same place of the same bucket, on the same node."""
    other = readings["other"]
    assert other.bytes >= SIZE
    assert other.report.cache_hits == 0
    assert other.folder != readings["second"].folder


async def test_the_users_container_does_not_see_it_at_all(readings: dict[str, Reading]) -> None:
    for reading in readings.values():
        (main,) = reading.pod["spec"]["containers"]
        assert "blob-cache" not in [mount["name"] for mount in main["volumeMounts"]]
