from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.content import read_file
from gradient_operator.datasets.errors import BlobCorruptError, PathMissingError
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, make_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

TREE: dict[bytes, Node] = {
    b"a": b"first",
    b"deep/b": b"second" * 1000,
    b"empty": b"",
    b"link": ("l", b"a"),
    b"z": b"last",
}


@pytest.fixture
def digest(store: BlobStore, tmp_path: Path) -> str:
    return snapshot(store, make_tree(tmp_path / "t", TREE)).digest


@pytest.mark.parametrize("path", [b"a", b"deep/b", b"empty", b"z"])
def test_a_file_is_read_as_it_was_stored(store: BlobStore, digest: str, path: bytes) -> None:
    assert b"".join(read_file(store, digest, path)) == TREE[path]


def test_a_long_file_is_read_in_its_order(store: BlobStore, tmp_path: Path) -> None:
    content = os.urandom(16 * 1024 * 1024 + 5)
    digest = snapshot(store, make_tree(tmp_path / "t", {b"long": content})).digest
    assert b"".join(read_file(store, digest, b"long")) == content


def test_only_the_bytes_of_the_file_are_fetched(store: BlobStore, digest: str) -> None:
    spans = []
    get = store._backend.get

    def watched(key: str, span: tuple[int, int] | None = None) -> memoryview:
        spans.append((key.split("/")[-4], span))
        return get(key, span)

    store._backend.get = watched  # type: ignore[method-assign]
    assert b"".join(read_file(store, digest, b"z")) == b"last"
    ((kind, span),) = spans
    assert kind == "packs"
    assert span is not None
    assert span[1] - span[0] == 4


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (b"none", "holds no file 'none'"),
        (b"deep", "'deep' is a directory"),
        (b"link", "'link' is a link to 'a'"),
    ],
)
def test_what_is_no_file_is_said_to_be_none(
    store: BlobStore, digest: str, path: bytes, says: str
) -> None:
    with pytest.raises(PathMissingError, match=says):
        list(read_file(store, digest, path))


def test_damaged_bytes_never_come_out(store: BlobStore, digest: str) -> None:
    (pack,) = store.list_few("v1/packs")
    data = bytearray(store.get(pack.key))
    data[-1] ^= 1
    store.put(pack.key, data)
    with pytest.raises(BlobCorruptError, match="'z'"):
        list(read_file(store, digest, b"z"))
    assert b"".join(read_file(store, digest, b"a")) == b"first"
