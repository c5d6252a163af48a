from __future__ import annotations

from typing import TYPE_CHECKING

from gradient_operator.datasets.compare import compare
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, make_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

BEFORE: dict[bytes, Node] = {
    b"a": b"same",
    b"b": b"old",
    b"gone/x": b"1",
    b"kind": b"a file",
    b"mode": b"m",
    b"new\nline": b"2",
    b"to": ("l", b"a"),
}
AFTER: dict[bytes, Node] = {
    b"a": b"same",
    b"b": b"new!",
    b"come/y": b"123",
    b"kind/is": b"a folder now",
    b"mode": ("x", b"m"),
    b"new\nline": b"2",
    b"to": ("l", b"b"),
}


def differences(
    store: BlobStore, tmp_path: Path, before: dict[bytes, Node], after: dict[bytes, Node]
) -> dict[bytes, tuple[bool, bool]]:
    first = snapshot(store, make_tree(tmp_path / "before", before))
    second = snapshot(store, make_tree(tmp_path / "after", after))
    with (
        ManifestReader.fetch(store, first.digest) as left,
        ManifestReader.fetch(store, second.digest) as right,
    ):
        found = list(compare(left, right))
    assert [item.path for item in found] == sorted(item.path for item in found)
    return {item.path: (item.before is not None, item.after is not None) for item in found}


def test_added_removed_and_changed_are_told_apart(store: BlobStore, tmp_path: Path) -> None:
    assert differences(store, tmp_path, BEFORE, AFTER) == {
        b"b": (True, True),
        b"come/y": (False, True),
        b"gone/x": (True, False),
        b"kind": (True, True),
        b"kind/is": (False, True),
        b"mode": (True, True),
        b"to": (True, True),
    }


def test_equal_trees_do_not_differ(store: BlobStore, tmp_path: Path) -> None:
    assert differences(store, tmp_path, BEFORE, BEFORE) == {}


def test_everything_of_one_side_differs_from_nothing(store: BlobStore, tmp_path: Path) -> None:
    assert differences(store, tmp_path, {}, {b"x/y": b"1", b"z": b""}) == {
        b"x/y": (False, True),
        b"z": (False, True),
    }
