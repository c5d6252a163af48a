"""The operator is killed in the middle of runs: no job runs twice, and they end the same."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gradient_operator.kube.resources import DATASETS, PODS, RUNS
from tests.e2e.cluster import Cluster, Seen, script
from tests.e2e.node import processes_in

SYSTEM = "gradient-system"


async def kill_operator(cluster: Cluster) -> None:
    """SIGKILL to the process where it can be reached, else the hardest deletion there is."""
    before = await operator_pod(cluster)
    name, state = before["metadata"]["name"], before["status"]["containerStatuses"][0]
    pid = pid_of(state["containerID"].removeprefix("containerd://"))
    system = Cluster(cluster.client, SYSTEM)
    if pid is None:
        system.kubectl("delete", "pod", name, "--grace-period=0", "--force")
        system.kubectl("rollout", "status", "deployment/gradient-operator", "--timeout=120s")
        return
    os.kill(pid, signal.SIGKILL)
    await system.until(
        PODS,
        name,
        lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] > state["restartCount"],
    )


async def operator_pod(cluster: Cluster) -> Seen:
    listed = await cluster.client.list_all(
        PODS, namespace=SYSTEM, label_selector="app.kubernetes.io/name=gradient-operator"
    )
    return next(pod for pod in listed.items if pod["status"]["phase"] == "Running")


def pid_of(container: str) -> int | None:
    """The operator's process in a container, if the node is this machine."""
    for process in processes_in(container):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
            if b"gradient-operator" in Path(f"/proc/{process}/cmdline").read_bytes():
                return process
    return None


def jobs() -> dict[str, Any]:
    outputs = {"d": {"type": "dataset", "with": {"ref": "restart"}}}
    return {
        "first": script("sleep 3; echo ran >>/outputs/d/x", outputs=outputs),
        "left": script("sleep 4", needs=["first"]),
        "right": script("cat /inputs/d/x", needs=["first"], inputs={"d": "first.outputs.d"}),
        "last": script("sleep 1", needs=["left", "right"]),
    }


@pytest.mark.parametrize("moment", ["first", "left", "last"])
async def test_killed_while_a_job_runs(cluster: Cluster, moment: str) -> None:
    await cluster.start("restart", jobs())
    await cluster.until(
        RUNS,
        "restart",
        lambda run: (
            run.get("status", {}).get("jobs", {}).get(moment, {}).get("phase")
            in {"Starting", "Running"}
        ),
    )
    await kill_operator(cluster)
    status = await cluster.succeeded("restart", seconds=180)
    assert {name: job["attempt"] for name, job in status["jobs"].items()} == dict.fromkeys(
        jobs(), 1
    )
    listed = await cluster.client.list_all(PODS, namespace=cluster.namespace)
    assert len(listed.items) == len(jobs()), "one Pod per job, and no more"
    found = await cluster.client.get(DATASETS, name="restart", namespace=cluster.namespace)
    assert found["status"]["versions"] == 1
