"""Makes a version out of a directory: one pass over the data, constant memory.

Small files are read by the walking thread and collected in packs; longer files are read, hashed and
sent segment by segment in the pool's threads. Entries wait in order until their digest and place
are known; how many can wait is bounded because the pool bounds what is under way.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import (
    DirectoryEntry,
    FileEntry,
    LinkEntry,
    Locator,
    PackedAt,
    SegmentedAt,
)
from gradient_operator.datasets.errors import LocalDiskError, StorageUnavailableError
from gradient_operator.datasets.holes import is_hole, zero_segment
from gradient_operator.datasets.layout import (
    EMPTY_SHA256,
    PACK_BYTES,
    PACK_FILES,
    SEGMENT_BYTES,
    SMALL_FILE_BYTES,
    manifest_key,
    pack_key,
    segment_count,
    segment_key,
    tree_digest,
)
from gradient_operator.datasets.manifest import ManifestWriter, Version
from gradient_operator.datasets.paths import display
from gradient_operator.datasets.pool import CONCURRENCY, TransferPool
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.remembered import Memory, TreeMemory, look
from gradient_operator.datasets.reuse import ReuseIndex
from gradient_operator.datasets.sweeps import wait_for_sweeps
from gradient_operator.datasets.verify import note_blobs, present
from gradient_operator.datasets.walk import OpenFile, changed, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradient_operator.datasets.store import BlobStore

_log = logging.getLogger(__name__)

_PASSES: Final = 3


def snapshot(
    store: BlobStore,
    source: str | os.PathLike[str],
    *,
    base: Sequence[str] = (),
    missing_ok: bool = False,
    concurrency: int = CONCURRENCY,
    progress: ProgressMeter | None = None,
    memory: TreeMemory | None = None,
) -> Version:
    """Store the directory `source` as a version and return it.

    `base` are digests of versions whose small files need not be sent again. With `missing_ok` a
    directory that does not exist is an empty version. With a `memory` of this machine a directory
    that has not changed since is not read again. Memory: about 16 MiB times `concurrency`.

    Raises:
        TreeError: the directory holds something that a version cannot hold, or it changes.
        StorageUnavailableError: the storage did not work for as long as the retry policy allows.
        StorageRefusedError: the storage refuses us.
        LocalDiskError: reading failed.
        FileNotFoundError: there is no such directory.
    """
    store.ensure_format()
    seen = look(source) if memory is not None else None
    if memory is not None and seen is not None:
        version = _recalled(store, memory.recall(seen), concurrency, progress)
        if version is not None:
            return version
    for attempt in range(_PASSES):
        # What a sweep took away while we relied on it is sent in the next pass.
        work = _Upload(store, base if attempt == 0 else (), concurrency, progress)
        version, blobs, manifest = work.run(source, missing_ok=missing_ok, keep=memory is not None)
        if _is_stored(store, version, blobs, concurrency):
            if memory is not None and seen is not None and seen.is_settled and look(source) == seen:
                memory.keep(seen, Memory(version, blobs, manifest))
            return version
        progress = None
        _log.warning("objects of %s were collected meanwhile: sending them again", version.digest)
    raise StorageUnavailableError(
        "Objects vanish from the storage as soon as they are written: look for a lifecycle rule of "
        "the bucket, or another program that deletes below the prefix.",
        reason="ObjectsVanish",
    )


def _recalled(
    store: BlobStore, known: Memory | None, concurrency: int, progress: ProgressMeter | None
) -> Version | None:
    """Make what is remembered a version again, if the bucket still holds all of it."""
    if known is None:
        return None
    store.put(manifest_key(known.version.digest), known.manifest)  # young, so no sweep takes it
    if not _is_stored(store, known.version, known.blobs, concurrency):
        return None
    if progress is not None:
        progress.add(files=known.version.files, size=known.version.bytes)
    return known.version


def _is_stored(
    store: BlobStore, version: Version, blobs: Mapping[str, int], concurrency: int
) -> bool:
    """Whether all is there and stays there, once the manifest has been written."""
    wait_for_sweeps(store)
    return present(store, {**blobs, manifest_key(version.digest): 1}, concurrency=concurrency)


@dataclass(frozen=True, slots=True)
class _Upload:
    """What one pass over a directory needs."""

    store: BlobStore
    base: Sequence[str]
    concurrency: int
    progress: ProgressMeter | None

    def run(
        self, source: str | os.PathLike[str], *, missing_ok: bool, keep: bool
    ) -> tuple[Version, dict[str, int], bytes]:
        """Send everything and write the manifest.

        Gives the blobs that the version needs, with their sizes, and with `keep` the manifest.
        """
        reuse = ReuseIndex(self.store, self.base)
        with ExitStack() as stack:
            manifest = stack.enter_context(ManifestWriter())
            pool = TransferPool(self.concurrency)
            meter = self.progress or ProgressMeter()
            work = _Snapshot(self.store, manifest, pool, reuse, meter)
            stack.callback(work.close)
            stack.callback(reuse.close)
            stack.enter_context(pool)
            try:
                work.add_all(source)
            except FileNotFoundError:
                if not missing_ok:
                    raise
            work.finish()
            version = manifest.store(self.store)
            return version, work.blobs, bytes(manifest.contents()) if keep else b""


class _Pack:
    """Small files, one after the other; `digest` is known when the pack has been hashed."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.files = 0
        self.digest = ""

    def has_room(self, size: int) -> bool:
        return self.files < PACK_FILES and len(self.data) + size <= PACK_BYTES

    def add(self, data: bytes) -> int:
        offset = len(self.data)
        self.data += data
        self.files += 1
        return offset


class _Segments:
    """The segments of one file: raw digests in order, and how many are still to come."""

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.count = segment_count(file.size)
        self.digests = bytearray(32 * self.count)
        self._missing = self.count
        self._lock = Lock()
        self._is_open = True
        self.done = False

    def close(self) -> None:
        """Close the file, once."""
        if self._is_open:
            self._is_open = False
            os.close(self.file.fd)

    def finished_one(self) -> bool:
        """Count a segment; True for the last."""
        with self._lock:
            self._missing -= 1
            return self._missing == 0

    def resolve(self) -> tuple[FileEntry, Locator]:
        names = tuple(
            self.digests[start : start + 32].hex() for start in range(0, 32 * self.count, 32)
        )
        digest = names[0] if self.count == 1 else tree_digest(self.digests)
        file = self.file
        return FileEntry(file.path, file.size, digest, file.executable), SegmentedAt(names)


@dataclass(slots=True)
class _Waiting:
    """An entry whose turn has not come, with what its place depends on."""

    entry: FileEntry | DirectoryEntry | LinkEntry | None
    place: Locator | _Segments | tuple[_Pack, int] | None

    def resolve(self) -> tuple[FileEntry | DirectoryEntry | LinkEntry, Locator | None] | None:
        """Return entry and locator as soon as both are known."""
        place = self.place
        if isinstance(place, _Segments):
            return place.resolve() if place.done else None
        assert self.entry is not None  # noqa: S101  # only files in segments wait for their digest
        if isinstance(place, tuple):
            pack, offset = place
            return (self.entry, PackedAt(pack.digest, offset)) if pack.digest else None
        return self.entry, place


class _Snapshot:
    """One pass over one directory."""

    def __init__(
        self,
        store: BlobStore,
        manifest: ManifestWriter,
        pool: TransferPool,
        reuse: ReuseIndex,
        progress: ProgressMeter,
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._pool = pool
        self._reuse = reuse
        self._progress = progress
        self._pack = _Pack()
        self._waiting: deque[_Waiting] = deque()
        self._zeros_lock = Lock()
        self._zeros_stored = False
        self.blobs: dict[str, int] = {}

    def add_all(self, source: str | os.PathLike[str]) -> None:
        """Walk, read and send."""
        for found in walk(source):
            self._store.cancellation.check()
            if not isinstance(found, OpenFile):
                self._waiting.append(_Waiting(found, None))
            elif found.size < SMALL_FILE_BYTES:
                self._add_small(found)
            else:
                self._add_long(found)
            self._write_known()

    def finish(self) -> None:
        """Send the last pack, wait for everything, and write the remaining entries."""
        self._send_pack()
        self._pool.drain()
        self._write_known()

    def close(self) -> None:
        """Close the files that a failure left open; no task may be running."""
        for waiting in self._waiting:
            if isinstance(waiting.place, _Segments):
                waiting.place.close()

    def _write_known(self) -> None:
        while self._waiting:
            known = self._waiting[0].resolve()
            if known is None:
                return
            self._write(*known)
            self._waiting.popleft()

    def _write(self, entry: FileEntry | DirectoryEntry | LinkEntry, place: Locator | None) -> None:
        self._manifest.add(entry, place)
        note_blobs(self.blobs, entry, place)

    def _add_small(self, file: OpenFile) -> None:
        size = file.size
        try:
            data = _read(file, start=0, size=size)
            if len(data) != size:
                raise changed(file.path)
            file.check_unchanged()
        finally:
            os.close(file.fd)
        digest = hashlib.sha256(data).hexdigest() if data else EMPTY_SHA256
        entry = FileEntry(file.path, size, digest, file.executable)
        place = self._place(entry, data)
        if self._waiting or isinstance(place, tuple):
            self._waiting.append(_Waiting(entry, place))
        else:
            self._write(entry, place)
        self._progress.add(files=1, size=size)

    def _place(self, entry: FileEntry, data: bytes) -> Locator | tuple[_Pack, int] | None:
        if not data:
            return None
        reused = self._reuse.find(entry)
        if reused is not None:
            return reused
        if not self._pack.has_room(len(data)):
            self._send_pack()
        return self._pack, self._pack.add(data)

    def _send_pack(self) -> None:
        pack, self._pack = self._pack, _Pack()
        if pack.files:
            self._pool.submit(partial(self._store_pack, pack))

    def _store_pack(self, pack: _Pack) -> None:
        data = pack.data
        digest = hashlib.sha256(data).hexdigest()
        self._store.add(pack_key(digest), data)
        pack.data = bytearray()
        pack.digest = digest

    def _add_long(self, file: OpenFile) -> None:
        segments = _Segments(file)
        self._waiting.append(_Waiting(None, segments))
        for number in range(segments.count):
            self._pool.submit(partial(self._store_segment, segments, number))
            self._write_known()

    def _store_segment(self, segments: _Segments, number: int) -> None:
        file = segments.file
        start = number * SEGMENT_BYTES
        size = min(SEGMENT_BYTES, file.size - start)
        if size == SEGMENT_BYTES and is_hole(file.fd, start=start, size=size):
            digest = self._store_zeros()
        else:
            digest = self._store_data(file, start=start, size=size)
        segments.digests[32 * number : 32 * number + 32] = bytes.fromhex(digest)
        is_last = segments.finished_one()
        if is_last:
            file.check_unchanged()
            segments.close()
            segments.done = True
        self._progress.add(files=int(is_last), size=size)

    def _store_data(self, file: OpenFile, *, start: int, size: int) -> str:
        data = _read(file, start=start, size=size)
        if len(data) != size:
            raise changed(file.path)
        digest = hashlib.sha256(data).hexdigest()
        self._store.add(segment_key(digest), data)
        return digest

    def _store_zeros(self) -> str:
        with self._zeros_lock:
            if not self._zeros_stored:
                self._store.add(segment_key(zero_segment()), bytes(SEGMENT_BYTES))
                self._zeros_stored = True
        return zero_segment()


def _read(file: OpenFile, *, start: int, size: int) -> bytes:
    """Read up to `size` bytes; fewer only at the end of the file."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part = os.pread(file.fd, size, start)
        except OSError as error:
            raise LocalDiskError(
                f"Reading {display(file.path)} failed: {error.strerror}."
            ) from error
        if not part:
            break
        if len(part) == size and not parts:
            return part  # as nearly always
        parts.append(part)
        start += len(part)
        size -= len(part)
    return b"".join(parts)
