from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.verify import blobs, verify
from tests.unit.datasets.test_snapshot import TREE
from tests.unit.datasets.trees import faulty_store, make_tree

if TYPE_CHECKING:
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
