"""Take away what containers leave on the machine, also when the programs that made it were killed.

Everything is found through something of ours that is unique: the socket of a node's containerd in the
command line of a shim, the control group of a node, the state folder in the table of mounts.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from hack.cluster.network import network_name
from hack.cluster.nodes import containerd_socket, control_group_folders, kernel_processes
from hack.cluster.processes import Identity, read_command, read_identity, stop_identities
from hack.cluster.profile import Node, Profile
from hack.commands import attempt
from hack.errors import SetupError

SHIM = "containerd-shim-runc-v2"
SHIM_SOCKETS = Path("/run/containerd/s")
NETWORK_RESULTS = Path("/var/lib/cni/results")
REMOVE_SECONDS = 10.0


def find_shims(sockets: set[str], *, proc: Path = Path("/proc")) -> list[Identity]:
    """The shims whose containerd listens on one of `sockets`."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        # The identity first: if the id is reused in between, the stop finds that and does nothing.
        identity = read_identity(int(entry.name), proc=proc)
        command = read_command(int(entry.name), proc=proc)
        if identity and is_shim_of(command, sockets):
            found.append(identity)
    return found


def is_shim_of(command: tuple[str, ...], sockets: set[str]) -> bool:
    """Whether a command line is that of a shim that reports to one of `sockets`."""
    if not command or Path(command[0]).name != SHIM or "-address" not in command:
        return False
    position = command.index("-address") + 1
    return position < len(command) and command[position] in sockets


def stop_containers(profile: Profile) -> None:
    """End every container of the cluster: the shims first, so that they restart nothing."""
    sockets = {str(containerd_socket(profile, node)) for node in profile.nodes}
    stop_identities(find_shims(sockets), grace=0)
    for node in profile.nodes:
        for folder in control_group_folders(profile.control_group(node)):
            found = [read_identity(pid) for pid in kernel_processes(folder)]
            stop_identities([one for one in found if one], grace=0)


def remove_control_groups(profile: Profile) -> None:
    """Remove the nodes' control groups, deepest first."""
    for node in profile.nodes:
        for folder in control_group_folders(profile.control_group(node)):
            deadline = time.monotonic() + REMOVE_SECONDS
            while folder.exists() and not remove_tree_of_groups(folder):
                if time.monotonic() > deadline:
                    raise SetupError(f"the control group {folder} still holds processes")
                time.sleep(0.1)


def remove_tree_of_groups(folder: Path) -> bool:
    """Remove what can be removed; a group stays busy for a moment after its last process."""
    for root, _, _ in os.walk(folder, topdown=False):
        try:
            Path(root).rmdir()
        except OSError:
            return False
    return True


def mounts_below(folder: Path, *, table: str) -> list[str]:
    """The mount points below `folder` in the text of /proc/self/mounts, deepest first."""
    prefix = f"{folder}/"
    points = [unescape(line.split()[1]) for line in table.splitlines() if line.strip()]
    return sorted((point for point in points if point.startswith(prefix)), reverse=True)


def unescape(text: str) -> str:
    """Undo what the kernel does to spaces and the like in its table of mounts."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def unmount_all(folder: Path) -> None:
    """Unmount everything below `folder`; what is busy goes away with its last user."""
    for point in mounts_below(folder, table=Path("/proc/self/mounts").read_text()):
        if not attempt(["umount", point]).succeeded:
            attempt(["umount", "--lazy", point])
    left = mounts_below(folder, table=Path("/proc/self/mounts").read_text())
    if left:
        raise SetupError(f"cannot unmount {left[0]}: end the programs that use it and try again")


def shim_sockets(profile: Profile, node: Node) -> list[Path]:
    """The sockets of the shims of `node`, as its containerd wrote them down."""
    tasks = profile.node_folder(node) / "run" / "io.containerd.runtime.v2.task"
    sockets = []
    for address in tasks.glob("*/*/address"):
        path = Path(address.read_text().strip().removeprefix("unix://"))
        if path.parent == SHIM_SOCKETS:
            sockets.append(path)
    return sockets


def remove_shared_files(profile: Profile) -> None:
    """Remove what containerd and the CNI library keep outside our state, where they give no choice."""
    for node in profile.nodes:
        for path in shim_sockets(profile, node):
            path.unlink(missing_ok=True)
    for path in NETWORK_RESULTS.glob(f"{network_name(profile)}-*"):
        path.unlink(missing_ok=True)
    for folder in (SHIM_SOCKETS, SHIM_SOCKETS.parent, NETWORK_RESULTS, NETWORK_RESULTS.parent):
        remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that nobody else has put anything into."""
    try:
        folder.rmdir()
    except OSError:
        return


def remove_state(profile: Profile) -> None:
    """Delete the state folder. Nothing may be mounted below it: that would be deleted as well."""
    left = mounts_below(profile.state, table=Path("/proc/self/mounts").read_text())
    if left:
        raise SetupError(f"{left[0]} is still mounted, so {profile.state} is not deleted")
    if profile.state.exists():
        shutil.rmtree(profile.state)
