"""Checks that a version is whole, for uploads and for people who doubt a bucket.

`verify` asks whether the manifest is genuine and every blob it names is there; `examine` reads
every byte back and compares the digests, as a restore would.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gradient_operator.datasets.entries import FileEntry, PackedAt, SegmentedAt
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.layout import SEGMENT_BYTES, pack_key, segment_key
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.pool import CONCURRENCY, TransferPool
from gradient_operator.datasets.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradient_operator.datasets.entries import Entry, Locator
    from gradient_operator.datasets.store import BlobStore


def blobs(manifest: ManifestReader) -> dict[str, int]:
    """Return the keys of all blobs of a version, with the least size in bytes that each must have.

    Memory: one key per 16 MiB of data or so, not one per file.

    Raises:
        ManifestError: the manifest is malformed.
    """
    found: dict[str, int] = {}
    for entry, place in manifest.located():
        note_blobs(found, entry, place)
    return found


def note_blobs(found: dict[str, int], entry: Entry, place: Locator | None) -> None:
    """Add the keys that one entry needs, with their least sizes in bytes."""
    if isinstance(place, PackedAt) and isinstance(entry, FileEntry):
        key = pack_key(place.pack)
        found[key] = max(found.get(key, 0), place.offset + entry.size)
    elif isinstance(place, SegmentedAt) and isinstance(entry, FileEntry):
        for number, digest in enumerate(place.segments):
            size = min(SEGMENT_BYTES, entry.size - number * SEGMENT_BYTES)
            found[segment_key(digest)] = size


def present(store: BlobStore, wanted: Mapping[str, int], *, concurrency: int = CONCURRENCY) -> bool:
    """Whether all these objects are there and long enough.

    Raises:
        StorageError: the storage does not answer or refuses us.
    """
    try:
        with TransferPool(concurrency) as pool:
            for key, size in wanted.items():
                pool.submit(partial(_check, store, key, size))
            pool.drain()
    except (BlobMissingError, BlobCorruptError):
        return False
    return True


def verify(store: BlobStore, digest: str, *, concurrency: int = CONCURRENCY) -> Version:
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


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that cannot be read back as it was stored, and the object that is to blame."""

    path: bytes
    key: str
    missing: bool


def examine(
    store: BlobStore,
    digest: str,
    *,
    concurrency: int = CONCURRENCY,
    progress: ProgressMeter | None = None,
) -> Iterator[Damage]:
    """Read every byte of a version back, compare the digests, and name the files that are damaged.

    Nothing is said while all is well. Memory: about 16 MiB times `concurrency`, and one key per
    object. What lies in a damaged pack is looked at file by file: most of it may be whole.

    Raises:
        BlobMissingError: the manifest is not in the bucket, so nothing of the version can be read.
        ManifestError: the manifest was changed or damaged.
        StorageError: the storage does not answer or refuses us.
    """
    meter = progress or ProgressMeter()
    with ManifestReader.fetch(store, digest) as manifest:
        bad: dict[str, bool] = {}
        with TransferPool(concurrency) as pool:
            for key, size in blobs(manifest).items():
                pool.submit(partial(_read_back, store, key, bad, _Share(meter, size)))
            pool.drain()
        if bad:
            yield from _damaged(store, manifest, bad)


@dataclass(frozen=True, slots=True)
class _Share:
    """What one object counts for in the progress."""

    meter: ProgressMeter
    size: int


def _read_back(store: BlobStore, key: str, bad: dict[str, bool], share: _Share) -> None:
    expected = key.rpartition("/")[2]
    try:
        for _ in range(2):  # once more: the way from the server may have damaged it
            if hashlib.sha256(store.get(key)).hexdigest() == expected:
                break
        else:
            bad[key] = False
    except BlobMissingError:
        bad[key] = True
    share.meter.add(size=share.size)


def _damaged(
    store: BlobStore, manifest: ManifestReader, bad: Mapping[str, bool]
) -> Iterator[Damage]:
    for entry, place in manifest.located():
        if not isinstance(entry, FileEntry):
            continue
        if isinstance(place, SegmentedAt):
            keys = [segment_key(digest) for digest in place.segments]
        elif isinstance(place, PackedAt) and not _is_whole(store, entry, place, bad):
            keys = [pack_key(place.pack)]
        else:
            continue
        key = next((key for key in keys if key in bad), None)
        if key is not None:
            yield Damage(entry.path, key, bad[key])


def _is_whole(store: BlobStore, entry: FileEntry, place: PackedAt, bad: Mapping[str, bool]) -> bool:
    key = pack_key(place.pack)
    if bad.get(key) is not False:
        return key not in bad
    end = place.offset + entry.size
    if (store.size(key) or 0) < end:
        return False
    data = store.get(key, (place.offset, end))
    return hashlib.sha256(data).hexdigest() == entry.digest
