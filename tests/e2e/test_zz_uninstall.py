"""`make uninstall` leaves nothing, whatever runs at the time. Last: what it removes others need."""

import json
import sys

from gradient_operator.kube.resources import RUNS
from tests.e2e.cluster import Cluster, command, script

CLUSTER_WIDE = "crd,clusterrole,clusterrolebinding,namespace"
NAMESPACED = "pods,secrets,persistentvolumeclaims"


def names(kinds: str) -> list[str]:
    found = json.loads(command(["kubectl", "get", kinds, "-A", "-o", "json"]).stdout)
    return [
        f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
        for item in found["items"]
    ]


async def test_uninstall_leaves_nothing_even_of_a_run_under_way(cluster: Cluster) -> None:
    outputs = {
        "data": {"type": "dataset", "with": {"ref": "left"}},
        "work": {"type": "volume"},
    }
    await cluster.start("ended", {"job": script("true", outputs=outputs)})
    await cluster.succeeded("ended")
    ends = script("trap 'exit 1' TERM; sleep 600 & wait", outputs=outputs)
    await cluster.start("going", {"job": ends})
    await cluster.until(
        RUNS,
        "going",
        lambda run: run.get("status", {}).get("jobs", {}).get("job", {}).get("phase") == "Running",
    )
    try:
        command([sys.executable, "-m", "hack.uninstall"], seconds=300)
        left = [name for name in names(CLUSTER_WIDE) if "gradient" in name]
        left += [
            name
            for name in names(NAMESPACED)
            if f" {cluster.namespace}/" in name or "gradient-storage" in name
        ]
        assert left == []
        command([sys.executable, "-m", "hack.uninstall"], seconds=300)
    finally:
        command([sys.executable, "-m", "hack.install"], seconds=600)
