from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import PathMissingError
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.selection import Selection, clean
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

TREE: dict[bytes, Node] = {
    b"a.txt": b"one",
    b"train/cats/1": b"cat",
    b"train/cats/link": ("l", b"1"),
    b"train/dogs/1": b"dog",
    b"train/x": ("x", b"run"),
    b"train-more/1": b"other",
    b"void": None,
}


@pytest.fixture
def digest(store: BlobStore, tmp_path: Path) -> str:
    return snapshot(store, make_tree(tmp_path / "t", TREE)).digest


@pytest.mark.parametrize(
    ("paths", "got"),
    [
        ([b"a.txt"], {b"a.txt"}),
        ([b"train/cats"], {b"train", b"train/cats", b"train/cats/1", b"train/cats/link"}),
        ([b"./train/x", b"void/"], {b"train", b"train/x", b"void"}),
        ([b"train/cats/link"], {b"train", b"train/cats", b"train/cats/link"}),
    ],
)
def test_what_is_named_is_restored_with_the_folders_above(
    store: BlobStore, digest: str, tmp_path: Path, paths: list[bytes], got: set[bytes]
) -> None:
    version = restore(store, digest, tmp_path / "to", only=Selection.of(paths))
    found = read_tree(tmp_path / "to")
    assert set(found) == got
    assert all(found[path] == TREE.get(path) for path in got)
    files = [TREE[path] for path in got if isinstance(TREE.get(path), bytes) or path == b"train/x"]
    assert version.files == len(files)


def test_paths_that_are_not_there_are_named(store: BlobStore, digest: str) -> None:
    with ManifestReader.fetch(store, digest) as manifest:
        assert Selection.of([b"train"]).measure(manifest).files == 3
        with pytest.raises(PathMissingError, match="holds no 'train/cat'"):
            Selection.of([b"train/cat", b"a.txt"]).measure(manifest)


@pytest.mark.parametrize("path", [b"", b"/", b"..", b"a/../b", b"n" * 300])
def test_paths_that_no_version_holds_are_refused(path: bytes) -> None:
    with pytest.raises(PathMissingError):
        clean(path)
