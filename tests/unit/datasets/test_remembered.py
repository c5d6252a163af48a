"""A directory that did not change is not read again; any doubt makes it read again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import remembered
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.remembered import MOST_TREES, TreeMemory, look
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import _Snapshot, snapshot
from gradient_operator.datasets.store import CollectorStore
from tests.unit.datasets.trees import QUICK, make_tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLACE = StorageLocation(endpoint="https://s3.example.com", bucket="b")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(
        tmp_path / "tree", {b"a": b"one", b"d/b": b"x" * 2_000_000, b"l": ("l", b"a"), b"e": b""}
    )


@pytest.fixture
def memory(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> TreeMemory:
    monkeypatch.setattr(remembered, "STEP_SECONDS", -60.0)  # what was made just now is settled
    return TreeMemory(tmp_path / "cache", PLACE, tree)


@pytest.fixture
def bucket(backend) -> CollectorStore:
    return CollectorStore(backend, retry=QUICK)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One item for every time that a directory was read."""
    seen: list[object] = []
    original = _Snapshot.add_all

    def add_all(self, source) -> None:
        seen.append(source)
        original(self, source)

    monkeypatch.setattr(_Snapshot, "add_all", add_all)
    return seen


def test_unchanged_directory_is_read_once(bucket, tree, memory, reads) -> None:
    first = snapshot(bucket, tree, memory=memory)

    assert snapshot(bucket, tree, memory=memory) == first
    assert len(reads) == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "content of the same length, time set back": lambda tree: (
        (tree / "a").write_bytes(b"two"),
        os.utime(tree / "a", ns=(0, 0)),
    ),
    "new file": lambda tree: (tree / "d/new").write_bytes(b""),
    "file gone": lambda tree: (tree / "e").unlink(),
    "mode": lambda tree: (tree / "a").chmod(0o755),
    "renamed": lambda tree: (tree / "a").rename(tree / "aa"),
    "link": lambda tree: ((tree / "l").unlink(), (tree / "l").symlink_to("e")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_seen(bucket, tree, memory, tmp_path, change) -> None:
    snapshot(bucket, tree, memory=memory)
    change(tree)

    version = snapshot(bucket, tree, memory=memory)

    restore(bucket, version.digest, tmp_path / "back")
    assert read_tree(tmp_path / "back") == read_tree(tree)


def test_directory_that_is_not_settled_is_read_again(
    bucket, tree, memory, reads, monkeypatch
) -> None:
    monkeypatch.setattr(remembered, "STEP_SECONDS", 2.0)
    assert not look(tree).is_settled

    snapshot(bucket, tree, memory=memory)
    snapshot(bucket, tree, memory=memory)

    assert len(reads) == 2


def test_what_the_bucket_lost_is_sent_again(bucket, tree, memory, reads, tmp_path) -> None:
    version = snapshot(bucket, tree, memory=memory)
    bucket.delete([next(bucket.list("v1/segments")).key])

    assert snapshot(bucket, tree, memory=memory) == version

    assert len(reads) == 2
    restore(bucket, version.digest, tmp_path / "back")


def test_manifest_is_written_anew_so_that_no_sweep_takes_it(bucket, tree, memory, reads) -> None:
    version = snapshot(bucket, tree, memory=memory)
    bucket.delete([info.key for info in bucket.list("v1/manifests")])

    assert snapshot(bucket, tree, memory=memory) == version

    assert len(reads) == 1
    with ManifestReader.fetch(bucket, version.digest) as manifest:
        assert manifest.version() == version


def test_damaged_memory_is_no_memory(bucket, tree, memory, reads, tmp_path) -> None:
    snapshot(bucket, tree, memory=memory)
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-5])

    snapshot(bucket, tree, memory=memory)

    assert len(reads) == 2


def test_folder_that_cannot_be_written_changes_nothing(bucket, tree, tmp_path) -> None:
    (tmp_path / "cache").write_text("a file")

    assert snapshot(bucket, tree, memory=TreeMemory(tmp_path / "cache", PLACE, tree)).files == 3


def test_only_the_newest_trees_are_kept(bucket, memory, tmp_path) -> None:
    for number in range(MOST_TREES + 3):
        tree = make_tree(tmp_path / str(number), {b"n": b"%d" % number})
        snapshot(bucket, tree, memory=TreeMemory(tmp_path / "cache", PLACE, tree))

    assert len(list((tmp_path / "cache").iterdir())) == 2 * MOST_TREES
