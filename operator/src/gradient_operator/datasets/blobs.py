"""Where a restore takes blobs from: the bucket, or a cache on this node in front of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gradient_operator.datasets.layout import pack_key, segment_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.datasets.backend import Data
    from gradient_operator.datasets.blob_cache import BlobCache
    from gradient_operator.datasets.store import BlobStore


class Blobs:
    """Segments and packs by digest. Errors are those of `BlobStore`."""

    def __init__(self, store: BlobStore, cache: BlobCache | None = None) -> None:
        self._store = store
        self._cache = cache

    @property
    def keeps(self) -> bool:
        """Whether a blob that is fetched whole will serve others too."""
        return self._cache is not None

    def copy_segment(self, digest: str, *, size: int, write: Callable[[Data, int], None]) -> None:
        """Hand over a segment piece by piece; the pieces are right when this has returned."""
        key = segment_key(digest)
        if self._cache is None:
            self._store.copy_verified(key, digest, size=size, write=write)
            return
        if self._cache.copy(digest, size=size, write=write):
            return
        with self._cache.keeper(digest) as keeper:

            def write_both(piece: Data, offset: int) -> None:
                write(piece, offset)
                keeper.write(piece, offset)

            self._store.copy_verified(key, digest, size=size, write=write_both)
            keeper.finish()

    def pack(self, digest: str, span: tuple[int, int], *, whole: bool) -> memoryview:
        """Read a part of a pack, unchecked; with `whole` all of it may be fetched and kept."""
        if self._cache is not None:
            found = self._cache.read(digest, span)
            if found is not None:
                return memoryview(found)
            if whole:
                return self._kept_pack(self._cache, digest)[span[0] : span[1]]
        return self._store.get(pack_key(digest), span)

    def pack_again(self, digest: str, span: tuple[int, int]) -> memoryview:
        """Read a part of a pack that was wrong the first time, from the bucket itself."""
        if self._cache is not None:
            self._cache.drop(digest)
        return self._store.get(pack_key(digest), span)

    def _kept_pack(self, cache: BlobCache, digest: str) -> memoryview:
        data = self._store.get(pack_key(digest))
        with cache.keeper(digest) as keeper:
            if hashlib.sha256(data).hexdigest() == digest:
                keeper.write(data, 0)
                keeper.finish()
        return data
