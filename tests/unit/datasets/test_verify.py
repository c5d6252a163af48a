from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.verify import Damage, blobs, examine, verify
from tests.unit.datasets.test_snapshot import TREE
from tests.unit.datasets.trees import Node, faulty_store, make_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.store import BlobStore


def test_whole_version_is_told_with_its_size(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))

    assert verify(store, version.digest) == version


def test_blobs_are_those_that_the_snapshot_wrote(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    written = {
        info.key: info.size for part in ("packs", "segments") for info in store.list(f"v1/{part}")
    }

    with ManifestReader.fetch(store, version.digest) as manifest:
        assert blobs(manifest) == written


@pytest.mark.parametrize("part", ["packs", "segments"])
@pytest.mark.parametrize("size", [None, 3])
def test_missing_or_short_blob_is_found(
    backend: ObstoreBackend, tmp_path: Path, part: str, size: int | None
) -> None:
    store, faulty = faulty_store(backend)
    digest = snapshot(store, make_tree(tmp_path / "t", TREE)).digest
    original = faulty.size
    faulty.size = lambda key: size if part in key else original(key)  # type: ignore[method-assign]

    with pytest.raises(BlobMissingError if size is None else BlobCorruptError, match=part):
        verify(store, digest)


def test_every_byte_of_a_whole_version_is_read(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, faulty = faulty_store(backend)
    version = snapshot(store, make_tree(tmp_path / "t", TREE))
    meter = ProgressMeter()

    assert list(examine(store, version.digest, progress=meter)) == []
    with ManifestReader.fetch(store, version.digest) as manifest:
        assert {key for name, key in faulty.calls if name == "get"} >= blobs(manifest).keys()
        assert meter.value.bytes == sum(blobs(manifest).values())


SMALL: dict[bytes, Node] = {b"a": b"first", b"b": b"second", b"c": b"third"}


def test_damage_in_a_pack_names_the_files_it_hits_and_no_others(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    store, faulty = faulty_store(backend)
    digest = snapshot(store, make_tree(tmp_path / "t", SMALL)).digest
    (pack,) = (info.key for info in store.list("v1/packs"))
    backend.put(pack, b"firstsecOndthird", create=False)

    assert list(examine(store, digest)) == [Damage(b"b", pack, missing=False)]
    backend.put(pack, b"firstseco", create=False)
    assert [item.path for item in examine(store, digest)] == [b"b", b"c"]
    faulty.on_call = gone(pack)
    assert list(examine(store, digest)) == [Damage(path, pack, missing=True) for path in SMALL]


def test_damage_in_a_segment_names_its_file(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, _ = faulty_store(backend)
    tree: dict[bytes, Node] = {b"large": b"x" * (17 * 1024 * 1024), b"other": b"y" * 2**20}
    digest = snapshot(store, make_tree(tmp_path / "t", tree)).digest
    keys = {info.size: info.key for info in store.list("v1/segments")}
    backend.put(keys[2**20], b"z" * 2**20, create=False)  # the end of `large` has this size too

    found = list(examine(store, digest))
    assert len(found) == 1
    assert found[0].key == keys[2**20]


def test_damage_on_the_way_is_no_damage(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, faulty = faulty_store(backend)
    digest = snapshot(store, make_tree(tmp_path / "t", SMALL)).digest
    left = [1]

    def once(key: str, data: bytes) -> bytes:
        if "packs" in key and left[0]:
            left[0] -= 1
            return b"?" + data[1:]
        return data

    faulty.corrupt = once
    assert list(examine(store, digest)) == []
    assert left == [0]


def gone(missing: str) -> Callable[[str, str], None]:
    """Let an object be missing."""

    def on_call(_: str, key: str) -> None:
        if key == missing:
            raise BlobMissingError(f"{key} is not there")

    return on_call
