"""The bytes of files of a version, verified, in order: for archives, exports and `cat`.

Memory: a few segments that are fetched ahead, and the last packs.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import FileEntry, LinkEntry, PackedAt, SegmentedAt
from gradient_operator.datasets.errors import BlobCorruptError, PathMissingError
from gradient_operator.datasets.layout import SEGMENT_BYTES, pack_key, segment_key
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.paths import display

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from gradient_operator.datasets.entries import Entry, Locator
    from gradient_operator.datasets.store import BlobStore

AHEAD: Final = 4
"""Segments of 16 MiB that are fetched before they are needed."""
_PACKS: Final = 4
"""Packs that are kept: neighbours in a tree mostly share one."""


def read_file(store: BlobStore, digest: str, path: bytes) -> Iterator[memoryview]:
    """The bytes of one file of the version `digest`, in pieces; nothing else of it is fetched.

    Raises:
        PathMissingError: there is no such file.
        BlobMissingError: the version or a part of it is not in the bucket.
        BlobCorruptError: the manifest or a blob was changed or damaged.
        StorageError: the storage does not answer or refuses us.
    """
    with (
        ManifestReader.fetch(store, digest) as manifest,
        ThreadPoolExecutor(AHEAD, thread_name_prefix="content") as pool,
    ):
        entry, place = _find(manifest, path)
        yield from Content(store, pool, whole_packs=False).pieces(entry, place)


def _find(manifest: ManifestReader, path: bytes) -> tuple[FileEntry, Locator | None]:
    for entry, place in manifest.located():
        if entry.path == path:
            if isinstance(entry, FileEntry):
                return entry, place
            raise PathMissingError(f"{display(path)} {_kind(entry)}, not a file.")
        if entry.path > path:
            break
    raise PathMissingError(f"The version holds no file {display(path)}.")


def _kind(entry: Entry) -> str:
    if isinstance(entry, LinkEntry):
        return f"is a link to {display(entry.target)}"
    return "is a directory"


class Content:
    """Brings the bytes of files, verified, in order. For one thread."""

    def __init__(
        self, store: BlobStore, pool: ThreadPoolExecutor, *, whole_packs: bool = True
    ) -> None:
        """With `whole_packs` a pack is fetched once for all its files, else each file by itself."""
        self._store = store
        self._pool = pool
        self._whole_packs = whole_packs
        self._packs: OrderedDict[str, memoryview] = OrderedDict()

    def pieces(self, entry: FileEntry, place: Locator | None) -> Iterator[memoryview]:
        """The bytes of a file in pieces of up to 16 MiB."""
        if isinstance(place, PackedAt):
            yield self._packed(entry, place)
        elif isinstance(place, SegmentedAt):
            yield from self._segments(entry, place)

    def _segments(self, entry: FileEntry, place: SegmentedAt) -> Iterator[memoryview]:
        ahead: deque[Future[memoryview]] = deque()
        try:
            for number, digest in enumerate(place.segments):
                size = min(SEGMENT_BYTES, entry.size - number * SEGMENT_BYTES)
                ahead.append(
                    self._pool.submit(
                        self._store.get_verified, segment_key(digest), digest, size=size
                    )
                )
                if len(ahead) > AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()

    def _packed(self, entry: FileEntry, place: PackedAt) -> memoryview:
        part = self._range(entry, place) if self._whole_packs else self._alone(entry, place)
        if hashlib.sha256(part).hexdigest() != entry.digest:
            raise BlobCorruptError(
                f"The bytes of {display(entry.path)} are not the ones of this version: the object "
                f"{pack_key(place.pack)} was changed or damaged in the storage."
            )
        return part

    def _alone(self, entry: FileEntry, place: PackedAt) -> memoryview:
        return self._store.get(pack_key(place.pack), (place.offset, place.offset + entry.size))

    def _range(self, entry: FileEntry, place: PackedAt) -> memoryview:
        pack = self._packs.pop(place.pack, None)
        if pack is None:
            pack = self._store.get(pack_key(place.pack))
        self._packs[place.pack] = pack
        if len(self._packs) > _PACKS:
            self._packs.popitem(last=False)
        return pack[place.offset : place.offset + entry.size]
