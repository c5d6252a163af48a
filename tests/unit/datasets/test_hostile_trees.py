"""What jobs may leave in an output, by accident or on purpose: stored whole, or refused by name."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import TreeError
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import faulty_store, make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.store import BlobStore

GIB = 1024**3


def test_sparse_file_of_100_gib_travels_as_what_was_written(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "disk.img").open("wb") as file:
        file.truncate(100 * GIB)
        file.seek(60 * GIB + 5)
        file.write(b"here")
    store, seen = faulty_store(backend)

    version = snapshot(store, source)
    restore(store, version.digest, tmp_path / "back")

    assert version.bytes == 100 * GIB
    assert seen.count("create", "segments") == 2
    back = tmp_path / "back/disk.img"
    assert back.stat().st_size == 100 * GIB
    assert back.stat().st_blocks * 512 < 100 * 1024**2
    with back.open("rb") as file:
        file.seek(60 * GIB)
        assert file.read(10) == b"\0\0\0\0\0here\0"


def test_holes_and_written_zeros_are_the_same_version(store: BlobStore, tmp_path: Path) -> None:
    for name in ("hole", "zeros"):
        (tmp_path / name).mkdir()
    size = 40 * 1024**2 + 3
    with (tmp_path / "hole/f").open("wb") as file:
        file.truncate(size)
    (tmp_path / "zeros/f").write_bytes(bytes(size))

    version = snapshot(store, tmp_path / "hole")
    assert version == snapshot(store, tmp_path / "zeros")
    restore(store, version.digest, tmp_path / "back")
    assert (tmp_path / "back/f").read_bytes() == bytes(size)


def test_hard_links_become_files_with_equal_bytes(store: BlobStore, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"a": b"data", b"d/big": b"x" * 2**21})
    os.link(tree / "a", tree / "d/b")
    os.link(tree / "d/big", tree / "big")

    version = snapshot(store, tree)
    restore(store, version.digest, tmp_path / "back")

    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert (tmp_path / "back/a").stat().st_nlink == 1


def test_a_path_of_more_than_4_kib_comes_back(store: BlobStore, tmp_path: Path) -> None:
    """Longer than any one call may name: only reachable step by step."""
    part = b"d" * 250
    (tmp_path / "t").mkdir()
    fd = os.open(tmp_path / "t", os.O_RDONLY)
    for _ in range(20):
        os.mkdir(part, dir_fd=fd)
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    with os.fdopen(os.open(b"f", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
        file.write(b"deep")
    os.close(fd)

    version = snapshot(store, tmp_path / "t")
    restore(store, version.digest, tmp_path / "back")

    assert version.files == 1
    assert snapshot(store, tmp_path / "back") == version


@pytest.mark.parametrize(
    "name", [b"new\nline", b"tab\tbell\a", b"\xff\xfe", b"-rf", b" ", b"a\\b", b"\xe2\x80\xae"]
)
def test_odd_names_come_back(store: BlobStore, tmp_path: Path, name: bytes) -> None:
    tree = make_tree(tmp_path / "t", {name: b"1", name + b"/".join([b"d", name]): b"2"})
    version = snapshot(store, tree)
    restore(store, version.digest, tmp_path / "back")
    assert read_tree(tmp_path / "back") == read_tree(tree)


@pytest.mark.parametrize("where", ["top", "deep/er"])
def test_a_pipe_is_refused_by_name_and_never_opened(
    store: BlobStore, tmp_path: Path, where: str
) -> None:
    tree = make_tree(tmp_path / "t", {b"deep/f": b"1"})
    os.mkfifo(tree / where)
    with pytest.raises(TreeError, match=where) as caught:
        snapshot(store, tree)
    assert caught.value.reason == "SpecialFile"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_refused_by_name(store: BlobStore, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"f": b"1"})
    try:
        os.mknod(tree / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container may not make devices")
    with pytest.raises(TreeError, match="null"):
        snapshot(store, tree)


def test_a_long_file_that_shrinks_while_it_is_read_is_refused(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "t", {b"log": b"x" * (40 * 1024**2)})
    store, faulty = faulty_store(backend)
    once = threading.Event()

    def shrink(operation: str, key: str) -> None:
        if "segments" in key and not once.is_set():
            once.set()
            os.truncate(tree / "log", 20 * 1024**2)

    faulty.on_call = shrink
    with pytest.raises(TreeError, match="changed while it was being read"):
        snapshot(store, tree, concurrency=1)
    assert faulty.count("put", "manifests") == 0


def test_a_manifest_of_nothing_but_zeros_fills_no_disk(store: BlobStore, tmp_path: Path) -> None:
    """16 GiB that were never stored, as a hostile writer of manifests would have them."""
    from gradient_operator.datasets.entries import FileEntry, SegmentedAt
    from gradient_operator.datasets.holes import zero_segment
    from gradient_operator.datasets.layout import SEGMENT_BYTES, tree_digest
    from gradient_operator.datasets.manifest import ManifestWriter

    count = 2**10
    segments = (zero_segment(),) * count
    digest = tree_digest(bytes.fromhex("".join(segments)))
    store.ensure_format()
    with ManifestWriter() as writer:
        entry = FileEntry(b"f", count * SEGMENT_BYTES, digest, executable=False)
        writer.add(entry, SegmentedAt(segments))
        version = writer.store(store)
    restore(store, version.digest, tmp_path / "back")
    assert (tmp_path / "back/f").stat().st_blocks == 0
