"""What a killed cluster left is recognized by what only it can have."""

from __future__ import annotations

import socket
from pathlib import Path

from hack.cluster import leftovers

SOCKETS = {"/state/nodes/cpu-1/containerd.sock"}
SHIM = "/usr/bin/containerd-shim-runc-v2"


def test_shim_is_ours_only_with_the_socket_of_our_containerd():
    ours = (SHIM, "-namespace", "k8s.io", "-id", "x", "-address", *SOCKETS)
    assert leftovers.is_shim_of(ours, SOCKETS)
    assert not leftovers.is_shim_of((*ours[:-1], "/run/containerd/containerd.sock"), SOCKETS)
    assert not leftovers.is_shim_of(("grep", *ours[1:]), SOCKETS)
    assert not leftovers.is_shim_of((SHIM, "-address"), SOCKETS)
    assert not leftovers.is_shim_of((), SOCKETS)


def test_mounts_below_a_folder_come_deepest_first_and_without_its_neighbours():
    table = (
        "overlay /state/real/a overlay rw 0 0\n"
        "tmpfs /state/real/a/b\\040c tmpfs rw 0 0\n"
        "tmpfs /state/real-other/a tmpfs rw 0 0\n"
        "proc /proc proc rw 0 0\n"
    )
    found = leftovers.mounts_below(Path("/state/real"), table=table)
    assert found == ["/state/real/a/b c", "/state/real/a"]


def test_socket_counts_as_left_over_only_when_nobody_listens(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        assert not leftovers.nobody_listens(path)
    assert leftovers.nobody_listens(path)
    assert not leftovers.nobody_listens(tmp_path / "none")
