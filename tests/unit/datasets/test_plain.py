from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore

from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.plain import export_plain, object_key
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, make_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

TREE: dict[bytes, Node] = {
    b"a b#%25?.txt": b"odd, and allowed",
    b"deep/long": os.urandom(20 * 1024 * 1024),
    b"empty": b"",
    b"link": ("l", b"empty"),
    b"not \xff utf-8": b"name",
    b"two\nlines": b"x",
}


def test_each_file_is_an_object_and_the_rest_is_told(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    bucket = ObstoreBackend(MemoryStore(), "memory")
    done = export_plain(store, version.digest, bucket, "some/place")
    found = {info.key: bytes(bucket.get(info.key)) for info in bucket.list("")}
    assert found == {
        f"some/place/{path.decode()}": TREE[path]
        for path in (b"a b#%25?.txt", b"deep/long", b"empty")
    }
    assert done.files == 3
    assert done.bytes == 20 * 1024 * 1024 + 16
    assert done.left_out == [
        (b"link", "is a link"),
        (b"not \xff utf-8", "has a name that is not UTF-8"),
        (b"two\nlines", "has a name with control characters"),
    ]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"x" * 1024, ""),
        (b"x" * 1025, "more than 1024 bytes"),
        ("ü" * 513, "more than 1024 bytes"),
        (b"tab\there", "control"),
        ("\uffff", "control"),
        ("名前 😀", ""),
    ],
)
def test_keys_that_no_server_takes_are_known(path: bytes | str, problem: str) -> None:
    raw = path if isinstance(path, bytes) else path.encode()
    key, found = object_key("", raw)
    assert problem in found
    assert bool(key) is not bool(found)
