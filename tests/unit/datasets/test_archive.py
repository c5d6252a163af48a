from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import archive
from gradient_operator.datasets.archive import write_tar
from gradient_operator.datasets.errors import BlobCorruptError
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, faulty_store, make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.store import BlobStore

TREE: dict[bytes, Node] = {
    b"a.txt": b"small",
    b"deep/" + b"n" * 200 + b"/file": b"long path",
    b"empty": b"",
    b"empty folder": None,
    b"link": ("l", b"deep/../a.txt"),
    b"long.bin": os.urandom(40 * 1024 * 1024 + 7),
    b"not \xff utf-8": b"name",
    b"run.sh": ("x", b"#!/bin/sh\n"),
    b"two\nlines": b"x",
}


class Pipe(io.RawIOBase):
    """Takes bytes, and cannot go back."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def test_archive_holds_the_tree(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    with (tmp_path / "x.tar").open("wb") as file:
        assert write_tar(store, version.digest, file) == version

    (tmp_path / "back").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "x.tar", "-C", tmp_path / "back"], check=True)
    assert read_tree(tmp_path / "back") == read_tree(tmp_path / "t")


def test_same_version_is_the_same_archive_in_a_pipe_too(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    first, second = io.BytesIO(), Pipe()
    write_tar(store, version.digest, first)
    write_tar(store, version.digest, second)  # type: ignore[arg-type]

    assert bytes(second.data) == first.getvalue()
    with tarfile.open(fileobj=io.BytesIO(first.getvalue())) as found:
        assert {(item.uid, item.gid, item.mtime) for item in found} == {(0, 0, 0)}


def test_no_more_is_fetched_ahead_than_allowed(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, faulty = faulty_store(backend)
    tree: dict[bytes, Node] = {b"f": os.urandom(16 * 1024 * 1024 * 8)}
    version = snapshot(store, make_tree(tmp_path / "t", tree))

    class Slow(Pipe):
        most = 0

        def write(self, data: object) -> int:
            written = len(self.data) // (16 * 1024 * 1024)
            Slow.most = max(Slow.most, faulty.count("get", "segments") - written)
            return super().write(data)

    write_tar(store, version.digest, Slow())  # type: ignore[arg-type]
    assert Slow.most <= archive.AHEAD + 2


@pytest.mark.parametrize("part", ["packs", "segments"])
def test_damage_ends_the_archive(backend: ObstoreBackend, tmp_path: Path, part: str) -> None:
    store, faulty = faulty_store(backend)
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    faulty.corrupt = lambda key, data: data[:-1] + b"!" if part in key else data

    with pytest.raises(BlobCorruptError):
        write_tar(store, version.digest, io.BytesIO())
