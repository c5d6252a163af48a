"""An interrupted restore goes on: what is right stays, what is wrong is mended, the rest goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import LocalDiskError, StorageUnavailableError
from gradient_operator.datasets.layout import SEGMENT_BYTES
from gradient_operator.datasets.restore import MARKER, restore
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, faulty_store, make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend

TREE: dict[bytes, Node] = {
    b"a/one.txt": b"one",
    b"a/two.txt": b"two" * 1000,
    b"a-b": b"sorts between a and what it holds",
    b"big.bin": os.urandom(2 * SEGMENT_BYTES + 77),
    b"empty": b"",
    b"link": ("l", b"a/one.txt"),
    b"run": ("x", b"#!"),
    b"void": None,
}


@pytest.fixture
def made(backend: ObstoreBackend, tmp_path: Path):
    """A store that counts, a version in it, and a directory that holds that version."""
    tree = make_tree(tmp_path / "tree", TREE)
    store, seen = faulty_store(backend)
    version = snapshot(store, tree)
    back = tmp_path / "back"
    restore(store, version.digest, back)
    seen.calls.clear()
    return store, seen, version, back


def fetched(seen) -> list[str]:
    """The parts of the bucket that blobs were read from."""
    return sorted(
        key.split("/")[1]
        for name, key in seen.calls
        if name in {"get", "stream"} and ("packs" in key or "segments" in key)
    )


def test_what_is_whole_is_not_fetched_again(made) -> None:
    store, seen, version, back = made

    assert restore(store, version.digest, back, replace=True) == version

    assert fetched(seen) == []
    assert read_tree(back) == read_tree(back.parent / "tree")


def test_only_what_is_wrong_is_fetched(made) -> None:
    store, seen, version, back = made
    (back / "a/two.txt").write_bytes(b"owt" * 1000)
    with (back / "big.bin").open("r+b") as file:
        file.seek(SEGMENT_BYTES + 5)
        file.write(b"damage")

    restore(store, version.digest, back, replace=True)

    assert fetched(seen) == ["packs", "segments"]
    assert read_tree(back) == read_tree(back.parent / "tree")


def test_segment_of_zeros_is_mended(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, _ = faulty_store(backend)
    tree = make_tree(tmp_path / "tree", {b"zeros": b"x"})
    os.truncate(tree / "zeros", SEGMENT_BYTES + 1)
    (tree / "zeros").write_bytes(bytes(SEGMENT_BYTES) + b"x")
    version = snapshot(store, tree)
    back = make_tree(tmp_path / "back", {b"zeros": b"y" * (SEGMENT_BYTES + 1)})

    restore(store, version.digest, back, replace=True)

    assert read_tree(back) == read_tree(tree)


def test_what_does_not_belong_goes_and_nothing_behind_a_link(made) -> None:
    store, _, version, back = made
    other = make_tree(back.parent / "other", {b"keep": b"mine", b"one.txt": b"mine"})
    (back / "a/one.txt").unlink()
    (back / "a/two.txt").unlink()
    (back / "a").rmdir()
    (back / "a").symlink_to(other)
    (back / "a-b").unlink()
    make_tree(back, {b"a-b/deep/er": b"folder for a file", b"void/extra": b"x", b"zzz/y": b"z"})
    (back / "empty").unlink()
    os.mkfifo(back / "empty")

    restore(store, version.digest, back, replace=True)

    assert read_tree(back) == read_tree(back.parent / "tree")
    assert read_tree(other) == {b"keep": b"mine", b"one.txt": b"mine"}


def test_file_with_another_name_is_not_written_through(made) -> None:
    store, _, version, back = made
    elsewhere = back.parent / "elsewhere"
    os.link(back / "big.bin", elsewhere)
    with elsewhere.open("r+b") as file:
        file.write(b"theirs")

    restore(store, version.digest, back, replace=True)

    assert elsewhere.read_bytes()[:6] == b"theirs"
    assert read_tree(back) == read_tree(back.parent / "tree")


def test_modes_of_what_was_left_are_mended(made) -> None:
    store, _, version, back = made
    (back / "run").chmod(0o600)
    (back / "big.bin").chmod(0o777)
    (back / "void").chmod(0o700)

    restore(store, version.digest, back, replace=True)

    modes = [(back / name).stat().st_mode & 0o777 for name in ("run", "big.bin", "void")]
    assert modes == [0o755, 0o644, 0o755]


def test_interrupted_restore_is_taken_up_by_the_same_version_only(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "tree", TREE)
    down = [False]

    def fail(_operation: str, key: str) -> None:
        if down[0] and "segments" in key:
            raise StorageUnavailableError("down")

    store, seen = faulty_store(backend, on_call=fail)
    version = snapshot(store, tree)
    make_tree(tree, {b"more": b"1"})
    other = snapshot(store, tree)
    back = tmp_path / "back"
    down[0] = True
    with pytest.raises(StorageUnavailableError):
        restore(store, version.digest, back)
    down[0] = False
    assert (back / f"{MARKER}{version.digest}").exists()
    with pytest.raises(LocalDiskError, match="is not empty"):
        restore(store, other.digest, back)

    restore(store, version.digest, back)

    assert read_tree(back).keys() == read_tree(tree).keys() - {b"more"}
    seen.calls.clear()
    with pytest.raises(LocalDiskError, match="is not empty"):  # complete: nobody's leftovers now
        restore(store, version.digest, back)
