"""The nodes as processes of this machine: what a power cut, a crash or the kernel does to them.

Only a cluster whose nodes are this machine's processes has them; elsewhere the tests that need
them say so and are skipped.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Seen


def processes_of(pod: Seen, container: str) -> list[int]:
    """The processes of a running container."""
    status = pod["status"]
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    state = next(item for item in listed if item["name"] == container)
    name = state["containerID"].rpartition("/")[2]
    found = list(_in_group(name))
    if not found:
        pytest.skip("the containers of this cluster are no processes of this machine")
    return found


def _in_group(name: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if name in (folder / "cgroup").read_text():
                    yield int(folder.name)
            except OSError:
                continue


def send(pod: Seen, container: str, number: signal.Signals) -> None:
    """A signal to all processes of a container, as the kernel would send it."""
    for process in processes_of(pod, container):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue
