"""Remembers where small files of earlier versions stand, so that they need not be sent again.

The versions to look at are given by the caller: the inputs of the job and the previous latest. As
long as the same files come in the same order as in one of them, its list is read alongside and
nothing is kept. After that each entry costs 40 bytes plus a share of its bucket, whatever the names
are.
"""

from __future__ import annotations

import logging
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import PackedAt
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.layout import is_digest, pack_key
from gradient_operator.datasets.manifest import ManifestReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from gradient_operator.datasets.entries import FileEntry
    from gradient_operator.datasets.store import BlobStore

_log = logging.getLogger(__name__)

MOST_FILES: Final = 1_000_000
"""Files remembered at most: about 45 MiB. The rest is sent again, which is never wrong."""
_Place = tuple[str, PackedAt]

_BUCKETS: Final = 4096
_RECORD: Final = struct.Struct("<32sII")


class ReuseIndex:
    """Digests of small files and the packs that hold them.

    The lists of `versions` are read when the first small file is looked up: a tree of large files
    has no use for them, and reading a million entries takes seconds. Call `close` at the end.
    """

    def __init__(self, store: BlobStore, versions: Iterable[str] = ()) -> None:
        self._store = store
        self._unread = self._untried = tuple(versions)
        self._alongside: Generator[_Place] | None = None
        self._packs: list[str] = []
        self._numbers: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        self._files = 0

    def find(self, entry: FileEntry) -> PackedAt | None:
        """Return the place of these bytes, if an existing pack holds them.

        Raises:
            StorageUnavailableError, StorageRefusedError: the storage does not work at all.
        """
        place = self._next(entry.digest) or self._remembered(entry.digest)
        if place is None or place.offset + entry.size > self._size(place.pack):
            return None
        return place

    def close(self) -> None:
        """Stop reading alongside."""
        if self._alongside is not None:
            self._alongside.close()
            self._alongside = None

    def _next(self, digest: str) -> PackedAt | None:
        """The place of the next small file of the version that is read alongside, if it is this."""
        if self._alongside is None:
            while self._untried:
                version, *rest = self._untried
                self._untried = tuple(rest)
                self._alongside = self._places(version)
                place = self._next(digest)
                if place is not None:
                    self._untried = ()
                    return place
            return None
        known, place = next(self._alongside, ("", None))
        if known == digest:
            return place
        self.close()
        return None

    def _remembered(self, digest: str) -> PackedAt | None:
        if self._unread:
            unread, self._unread = self._unread, ()
            self._read(unread)
        if not self._files:
            return None
        raw = bytes.fromhex(digest)
        bucket = self._buckets[_bucket(raw)]
        if bucket is None:
            return None
        position = bucket.find(raw)
        while position >= 0 and position % _RECORD.size:
            position = bucket.find(raw, position + 1)
        if position < 0:
            return None
        _, number, offset = _RECORD.unpack_from(bucket, position)
        return PackedAt(self._packs[number], offset)

    def _read(self, versions: Iterable[str]) -> None:
        """Remember the small files of these versions; one that cannot be read is passed over."""
        for version in versions:
            with closing(self._places(version)) as places:
                for digest, place in places:
                    if self._files >= MOST_FILES:
                        return
                    if is_digest(digest):
                        self._add(bytes.fromhex(digest), place)

    def _places(self, version: str) -> Generator[_Place]:
        """Digests of the small files of a version, in its order, and their places."""
        try:
            with ManifestReader.fetch(self._store, version) as manifest:
                yield from manifest.packed()
        except (BlobMissingError, BlobCorruptError) as error:
            _log.warning("No files of version %s are reused: %s", version, error)

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

    def _size(self, pack: str) -> int:
        """Length of a pack in bytes as the storage tells it; 0 if it is gone."""
        known = self._sizes.get(pack)
        if known is None:
            known = self._sizes[pack] = self._store.size(pack_key(pack)) or 0
        return known


def _bucket(raw: bytes) -> int:
    return int.from_bytes(raw[:2], "little") % _BUCKETS
