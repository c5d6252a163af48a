"""Simulated GPUs: what a device plugin would report, written into the node's status.

The scheduler counts and places them for real and the kubelet admits the pods; only the device is
missing in the container.
"""

from __future__ import annotations

from functools import partial

from hack.cluster.api import Api, wait_until
from hack.cluster.profile import GPU_RESOURCE, Node, Profile

SECONDS = 20.0


def status_operations(count: int) -> list[dict[str, str]]:
    """The JSON patch that gives a node `count` GPUs."""
    # A slash in a name is written ~1 in a JSON pointer.
    name = GPU_RESOURCE.replace("/", "~1")
    return [
        {"op": "add", "path": f"/status/{part}/{name}", "value": str(count)}
        for part in ("capacity", "allocatable")
    ]


def has_gpus(api: Api, node: Node) -> bool:
    """Whether the node offers its GPUs."""
    found = api.get(f"/api/v1/nodes/{node.name}") or {}
    status = found.get("status", {})
    wanted = str(node.gpus)
    return all(
        status.get(part, {}).get(GPU_RESOURCE) == wanted for part in ("capacity", "allocatable")
    )


def given(api: Api, node: Node) -> bool:
    """Whether the node has its GPUs; it gets them if not, and is looked at again."""
    if has_gpus(api, node):
        return True
    api.patch_status(f"/api/v1/nodes/{node.name}", status_operations(node.gpus))
    return False


def simulate_gpus(profile: Profile) -> None:
    """Give the GPU nodes their GPUs, again if the kubelet's own report comes in between."""
    api = Api(profile)

    for node in profile.nodes:
        if node.gpus:
            wait_until(
                partial(given, api, node),
                what=f"node {node.name} offers {node.gpus} GPUs",
                seconds=SECONDS,
            )
