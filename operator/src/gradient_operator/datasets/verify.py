"""Checks that a version is whole: its manifest is genuine and every blob it names is there.

What the operator does before it commits a version, and what a person does who doubts a bucket. The
bytes of blobs are not read: they are checked by their digests whenever they are restored.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gradient_operator.datasets.entries import FileEntry, PackedAt, SegmentedAt
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.layout import SEGMENT_BYTES, pack_key, segment_key
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.pool import TransferPool

if TYPE_CHECKING:
    from gradient_operator.datasets.store import BlobStore


def blobs(manifest: ManifestReader) -> dict[str, int]:
    """Return the keys of all blobs of a version, with the least size in bytes that each must have.

    Memory: one key per 16 MiB of data or so, not one per file.

    Raises:
        ManifestError: the manifest is malformed.
    """
    found: dict[str, int] = {}
    for entry, place in manifest.located():
        if isinstance(place, PackedAt) and isinstance(entry, FileEntry):
            key = pack_key(place.pack)
            found[key] = max(found.get(key, 0), place.offset + entry.size)
        elif isinstance(place, SegmentedAt) and isinstance(entry, FileEntry):
            for number, digest in enumerate(place.segments):
                size = min(SEGMENT_BYTES, entry.size - number * SEGMENT_BYTES)
                found[segment_key(digest)] = size
    return found


def verify(store: BlobStore, digest: str, *, concurrency: int = 8) -> Version:
    """Check manifest and presence of all blobs of a version, and return what it holds.

    Raises:
        BlobMissingError: the version or one of its blobs is not in the bucket.
        BlobCorruptError: the manifest was changed, or a blob is too short.
        StorageError: the storage does not answer or refuses us.
    """
    with ManifestReader.fetch(store, digest) as manifest:
        version = manifest.version()
        with TransferPool(concurrency) as pool:
            for key, size in blobs(manifest).items():
                pool.submit(partial(_check, store, key, size))
            pool.drain()
    return version


def _check(store: BlobStore, key: str, size: int) -> None:
    found = store.size(key)
    if found is None:
        raise BlobMissingError(f"The object {key}, which the version needs, is not in the storage.")
    if found < size:
        raise BlobCorruptError(f"The object {key} has {found} bytes instead of {size} or more.")
