"""Asks whether nodes answer, of whose Pods nothing else tells: a Node object says so.

While main runs the Pod itself shows that contact was lost. Once main has ended nothing does, and a
Pod that should be gone may be one that still uploads, or one on a node that burnt down.
"""

from collections.abc import Iterable
from typing import Final

from gradient_operator.controllers.run_state import RunState
from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import NODES

PAUSE: Final = 10.0
"""Seconds between two questions about the nodes of one run."""


async def ask(
    client: KubeClient, state: RunState, pods: Iterable[PodRecord], *, now: float
) -> float | None:
    """Put what is known of the nodes into the state; answers in how many seconds to ask again.

    Raises:
        KubeError: the API server does not answer.
    """
    nodes = doubtful(pods)
    if not nodes:
        state.silent_nodes = frozenset()
        return None
    due = state.nodes_asked_at + PAUSE
    if due <= now:
        due, state.nodes_asked_at = now + PAUSE, now
        state.silent_nodes = await silent(client, nodes)
    return due - now


def doubtful(pods: Iterable[PodRecord]) -> set[str]:
    """The nodes to ask about: those of Pods that are to go and whose main has ended."""
    return {
        pod.node
        for pod in pods
        if pod.node and pod.deleting and pod.main_ended and not pod.terminal
    }


async def silent(client: KubeClient, nodes: Iterable[str]) -> frozenset[str]:
    """Those of the nodes that have stopped reporting, or are gone.

    Raises:
        KubeError: the API server does not answer.
    """
    return frozenset([name for name in sorted(nodes) if await _is_silent(client, name)])


async def _is_silent(client: KubeClient, name: str) -> bool:
    try:
        node = await client.get(NODES, name=name)
    except NotFound:
        return True
    conditions = node.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "Unknown" for one in conditions)
