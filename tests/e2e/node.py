"""The nodes as processes of this machine: what a power cut, a crash or the kernel does to them.

Only a cluster whose nodes are this machine's processes has them; elsewhere the tests that need
them say so and are skipped.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hack.cluster.api import Api, wait_until
from hack.cluster.control_plane import controller_manager
from hack.cluster.gpu import simulate_gpus
from hack.cluster.local import process_table
from hack.cluster.nodes import is_ready, kubelet_component
from hack.cluster.processes import Component
from hack.cluster.profile import REAL, Node
from tests.e2e.cluster import Seen


def processes_of(pod: Seen, container: str) -> list[int]:
    """The processes of a running container."""
    status = pod["status"]
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    state = next(item for item in listed if item["name"] == container)
    name = state["containerID"].rpartition("/")[2]
    found = list(processes_in(name))
    if not found:
        require_local(pod["spec"]["nodeName"])
    assert found, f"container {container} of Pod {pod['metadata']['name']} has no process"
    return found


def processes_in(name: str) -> Iterator[int]:
    """The processes of this machine in a container of this name, if it is here."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if name in (folder / "cgroup").read_text():
                    yield int(folder.name)
            except OSError:
                continue  # it has ended since it was listed


def send(pod: Seen, container: str, number: signal.Signals) -> None:
    """A signal to all processes of a container, as the kernel would send it."""
    for process in processes_of(pod, container):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue  # it has ended since it was listed


def require_local(name: str) -> Node:
    """The node of this name, which must be processes of this machine."""
    table = process_table(REAL)
    found = [node for node in REAL.nodes if node.name == name]
    if not found or table.running(f"kubelet-{name}") is None:
        pytest.skip(
            f"node {name} is no process of this machine: run it as root, without CLUSTER=existing, "
            "on the cluster of `python3 -m hack.cluster up` where there is no Docker"
        )
    return found[0]


def kill_kubelet(node: Node) -> None:
    """SIGKILL to the kubelet; the containers and their runtime go on."""
    process_table(REAL).stop([f"kubelet-{node.name}"], grace=0)


def start_kubelet(node: Node, **settings: object) -> None:
    """Start the kubelet, and wait until its node is ready and has its GPUs.

    `settings` go over those of its configuration, for this start only.
    """
    table = process_table(REAL)
    since = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    component = kubelet_component(REAL, node)
    if settings:
        path = REAL.node_folder(node) / "kubelet.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    table.start(component)
    wait_until(
        lambda: is_ready(Api(REAL), node, since),
        what=f"node {node.name} is ready",
        seconds=60,
        meanwhile=lambda: table.require(f"kubelet-{node.name}"),
    )
    simulate_gpus(REAL)


@contextmanager
def impatient_controllers() -> Iterator[None]:
    """Controllers that call a silent node lost after 20 s, which is 50 s by default."""
    table, usual = process_table(REAL), controller_manager(REAL)
    quick = replace(usual, command=(*usual.command, "--node-monitor-grace-period=20s"))

    def exchange(component: Component) -> None:
        table.stop([component.name], grace=5)
        table.start(component)

    exchange(quick)
    try:
        yield
    finally:
        exchange(usual)


def evict_below(node: Node, *, spare: int) -> None:
    """Have the node evict as soon as its disk has `spare` bytes less than now."""
    free = shutil.disk_usage(REAL.node_folder(node)).free
    kill_kubelet(node)
    start_kubelet(
        node,
        evictionHard={"nodefs.available": str(free - spare)},
        evictionPressureTransitionPeriod="1s",
        volumeStatsAggPeriod="2s",
    )
