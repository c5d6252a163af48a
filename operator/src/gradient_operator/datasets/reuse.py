"""Remembers where small files of earlier versions stand, so that they need not be sent again.

The versions to look at are given by the caller: the inputs of the job and the previous latest. An
entry costs 40 bytes plus a share of its bucket, whatever the names are.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import PackedAt
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.layout import is_digest, pack_key
from gradient_operator.datasets.manifest import ManifestReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradient_operator.datasets.entries import FileEntry
    from gradient_operator.datasets.store import BlobStore

_log = logging.getLogger(__name__)

MOST_FILES: Final = 1_000_000
"""Files remembered at most: about 45 MiB. The rest is sent again, which is never wrong."""

_BUCKETS: Final = 4096
_RECORD: Final = struct.Struct("<32sII")


class ReuseIndex:
    """Digests of small files and the packs that hold them.

    The lists of `versions` are read when the first small file is looked up: a tree of large files
    has no use for them, and reading a million entries takes seconds.
    """

    def __init__(self, store: BlobStore, versions: Iterable[str] = ()) -> None:
        self._store = store
        self._unread = tuple(versions)
        self._packs: list[str] = []
        self._numbers: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        self._files = 0

    def find(self, entry: FileEntry) -> PackedAt | None:
        """Return the place of these bytes, if an existing pack holds them.

        Raises:
            StorageUnavailableError, StorageRefusedError: the storage does not work at all.
        """
        if self._unread:
            unread, self._unread = self._unread, ()
            self._read(unread)
        if not self._files:
            return None
        raw = bytes.fromhex(entry.digest)
        bucket = self._buckets[_bucket(raw)]
        if bucket is None:
            return None
        position = bucket.find(raw)
        while position >= 0 and position % _RECORD.size:
            position = bucket.find(raw, position + 1)
        if position < 0:
            return None
        _, number, offset = _RECORD.unpack_from(bucket, position)
        if offset + entry.size > self._size(number):
            return None
        return PackedAt(self._packs[number], offset)

    def _read(self, versions: Iterable[str]) -> None:
        """Remember the small files of these versions; one that cannot be read is passed over."""
        for digest in versions:
            try:
                with ManifestReader.fetch(self._store, digest) as manifest:
                    self._load(manifest)
            except (BlobMissingError, BlobCorruptError) as error:
                _log.warning("No files of version %s are reused: %s", digest, error)

    def _load(self, manifest: ManifestReader) -> None:
        for digest, place in manifest.packed():
            if self._files >= MOST_FILES:
                return
            if is_digest(digest):
                self._add(bytes.fromhex(digest), place)

    def _add(self, raw: bytes, locator: PackedAt) -> None:
        number = self._numbers.setdefault(locator.pack, len(self._packs))
        if number == len(self._packs):
            self._packs.append(locator.pack)
        index = _bucket(raw)
        bucket = self._buckets[index]
        if bucket is None:
            bucket = self._buckets[index] = bytearray()
        bucket += _RECORD.pack(raw, number, locator.offset)
        self._files += 1

    def _size(self, number: int) -> int:
        """Length of a pack in bytes as the storage tells it; 0 if it is gone."""
        known = self._sizes.get(number)
        if known is None:
            known = self._store.size(pack_key(self._packs[number])) or 0
            self._sizes[number] = known
        return known


def _bucket(raw: bytes) -> int:
    return int.from_bytes(raw[:2], "little") % _BUCKETS
