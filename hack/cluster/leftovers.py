"""Take away what containers leave on the machine, also when the programs that made it were killed.

Everything is found through something of ours that is unique: the socket of a node's containerd in
the command line of a shim, the control group of a node, the state folder in the table of mounts.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.nodes import containerd_socket, control_group_folders, kernel_processes
from hack.cluster.processes import Identity, read_command, read_identity, stop_identities
from hack.commands import attempt
from hack.errors import SetupError

if TYPE_CHECKING:
    from hack.cluster.profile import Profile

SHIM = "containerd-shim-runc-v2"
SHIM_SOCKETS = Path("/run/containerd/s")
NETWORK_RESULTS = Path("/var/lib/cni/results")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
CONTAINER_LOGS = Path("/var/log/containers")
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


def nobody_listens(path: Path) -> bool:
    """Whether `path` is a socket that nobody listens on: it is of no use to anyone any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def remove_shared_files(profile: Profile) -> None:
    """Remove what the programs keep in places that they give no choice about.

    Others may keep theirs there too, so only what leads to our state or to nobody is removed.
    """
    state = str(profile.state)
    for path in (*SHIM_SOCKETS.glob("*"), DEVICE_PLUGINS / "kubelet.sock"):
        if nobody_listens(path):
            path.unlink()
    for path in NETWORK_RESULTS.glob("*"):
        if state in path.read_text(errors="replace"):
            path.unlink()
    for path in CONTAINER_LOGS.glob("*.log"):
        if path.is_symlink() and path.readlink().is_relative_to(state):
            path.unlink()
    for folder in (SHIM_SOCKETS, NETWORK_RESULTS, DEVICE_PLUGINS):
        remove_if_empty(folder)
        remove_if_empty(folder.parent)
    remove_if_empty(CONTAINER_LOGS)


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
