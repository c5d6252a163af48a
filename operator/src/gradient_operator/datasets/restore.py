"""Makes a directory out of a version and checks every byte on the way.

The manifest is read as a stream. Small files are gathered in windows, so that each pack is fetched
with few requests, in ranges; long files are written segment by segment while they arrive. Links
come last. What an interrupted restore left is checked and not fetched again.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.blobs import Blobs
from gradient_operator.datasets.entries import (
    DirectoryEntry,
    FileEntry,
    LinkEntry,
    PackedAt,
    SegmentedAt,
)
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.holes import is_hole, zero_segment
from gradient_operator.datasets.layout import SEGMENT_BYTES, pack_key
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.paths import display
from gradient_operator.datasets.pool import CONCURRENCY, TransferPool
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.tree import Folder, disk_errors, open_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradient_operator.datasets.backend import Data
    from gradient_operator.datasets.blob_cache import BlobCache
    from gradient_operator.datasets.pool import Cancellation
    from gradient_operator.datasets.selection import Selection
    from gradient_operator.datasets.store import BlobStore

WINDOW_FILES: Final = 16_384
"""Small files that are looked at together: about 6 MiB of entries."""

_PIECE: Final = 1024 * 1024
_WHOLE: Final = 0.25
"""Share of a pack from which on a cache gets all of it."""
MARKER: Final = ".gradient-"
"""Begins the name of the empty file that a directory holds until its restore is complete. The
version's own digest follows: no version can hold a file of that name."""

LARGEST_GAP: Final = 256 * 1024
"""Unwanted bytes of a pack that are fetched rather than asking twice."""


def restore(
    store: BlobStore,
    digest: str,
    target: str | os.PathLike[str],
    *,
    writable: bool = False,
    replace: bool = False,
    only: Selection | None = None,
    concurrency: int = CONCURRENCY,
    progress: ProgressMeter | None = None,
    cache: BlobCache | None = None,
) -> Version:
    """Write the version `digest` into the directory `target` and return what it held.

    The directory must be new or empty, or hold what an interrupted restore of this version left;
    with `replace` it may hold anything. Afterwards it holds the version and nothing else: files
    that are there already are checked and kept. `only` says which paths are wanted. With `writable`
    all users may write (0777 and 0666), otherwise modes are 0755 and 0644. Memory: up to 16 MiB
    times `concurrency`. A `cache` of this node serves blobs that it has, and keeps the others.

    Raises:
        BlobMissingError: the version or a part of it is not in the bucket.
        BlobCorruptError: the manifest or a blob was changed or damaged; ManifestError is one.
        StorageUnavailableError: the storage did not work for as long as the retry policy allows.
        StorageRefusedError: the storage refuses us.
        LocalDiskError: the directory is not empty or cannot be written.
    """
    store.check_format()
    marker = "" if replace else f"{MARKER}{digest}"
    with (
        ManifestReader.fetch(store, digest) as manifest,
        open_target(target, writable=writable, keep=replace, marker=marker) as folder,
    ):
        if folder.holds_leftovers:
            wanted = (entry for entry in manifest.entries() if only is None or only.takes(entry))
            folder.prune(wanted, spared=frozenset({marker.encode()}))
        pool = TransferPool(concurrency)
        # Half of the threads write small files while the others fetch: more writers would spend
        # their time on handing the interpreter's lock to each other at every file.
        writing = BoundedSemaphore(max(1, concurrency // 2))
        blobs = Blobs(store, cache)
        work = _Restore(blobs, folder, pool, writing, progress or ProgressMeter())
        with closing(work), pool:
            links = work.add_all(manifest, only, store.cancellation)
            pool.drain()
        if links:
            for entry in manifest.entries():
                if isinstance(entry, LinkEntry) and (only is None or only.takes(entry)):
                    folder.make_link(entry.path, entry.target)
        if marker:
            folder.remove_file(marker.encode())
        return Version(digest=digest, bytes=work.bytes, files=work.files)


@dataclass(frozen=True, slots=True)
class _Range:
    """Neighbouring files of one pack that are fetched with one request."""

    pack: str
    start: int
    end: int
    files: Sequence[tuple[int, FileEntry]]
    whole: bool = False
    """Whether most of the pack is wanted, so that all of it may be fetched for the cache."""


class _LongFile:
    """A file that several threads write; the last one closes it."""

    def __init__(self, path: bytes, fd: int, segments: int, *, was_there: bool) -> None:
        self.path = path
        self.fd = fd
        self.was_there = was_there
        self._missing = segments
        self._lock = Lock()

    def finished_one(self) -> bool:
        """Count a written segment; True for the last."""
        with self._lock:
            self._missing -= 1
            is_last = self._missing == 0
        if is_last:
            self.close()
        return is_last

    def close(self) -> None:
        """Close the file, once."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class _Restore:
    """One pass over one manifest."""

    def __init__(
        self,
        blobs: Blobs,
        folder: Folder,
        pool: TransferPool,
        writing: BoundedSemaphore,
        progress: ProgressMeter,
    ) -> None:
        self._blobs = blobs
        self._folder = folder
        self._pool = pool
        self._writing = writing
        self._progress = progress
        self._window: dict[str, list[tuple[int, FileEntry]]] = {}
        self._gathered = 0
        self._long: list[_LongFile] = []
        self.files = 0
        self.bytes = 0

    def add_all(
        self, manifest: ManifestReader, only: Selection | None, cancellation: Cancellation
    ) -> int:
        """Create directories and files, and return how many links are to be made."""
        links = 0
        for entry, place in manifest.located():
            cancellation.check()
            if only is not None and not only.takes(entry):
                continue
            if isinstance(entry, DirectoryEntry):
                self._folder.make_directory(entry.path)
                continue
            if isinstance(entry, LinkEntry):
                links += 1
                continue
            self.files += 1
            self.bytes += entry.size
            if isinstance(place, SegmentedAt):
                self._add_long(entry, place)
            elif self._folder.holds_leftovers and self._is_there(entry):
                self._progress.add(files=1, size=entry.size)
            elif isinstance(place, PackedAt):
                self._add_small(entry, place)
            else:
                os.close(self._folder.make_file(entry.path, executable=entry.executable))
                self._progress.add(files=1)
        self._send_window()
        return links

    def close(self) -> None:
        """Close the files that a failure left open; no task may be running."""
        for file in self._long:
            file.close()

    def _is_there(self, entry: FileEntry) -> bool:
        """Whether an earlier attempt wrote this small file whole; what is wrong is removed."""
        fd = self._folder.take_file(entry.path, size=entry.size, executable=entry.executable)
        if fd is None:
            return False
        with open(fd, "rb") as file, disk_errors(entry.path):  # noqa: PTH123  # a descriptor
            is_right = hashlib.file_digest(file, "sha256").hexdigest() == entry.digest
        if not is_right:
            self._folder.remove_file(entry.path)
        return is_right

    def _add_small(self, entry: FileEntry, place: PackedAt) -> None:
        self._window.setdefault(place.pack, []).append((place.offset, entry))
        self._gathered += 1
        if self._gathered >= WINDOW_FILES:
            self._send_window()

    def _send_window(self) -> None:
        window, self._window, self._gathered = self._window, {}, 0
        for pack, files in window.items():
            for wanted in self._ranges(pack, files):
                self._pool.submit(partial(self._write_range, wanted))

    def _ranges(self, pack: str, files: list[tuple[int, FileEntry]]) -> Iterator[_Range]:
        end = max(offset + entry.size for offset, entry in files)
        if self._blobs.keeps and sum(entry.size for _, entry in files) >= end * _WHOLE:
            yield _Range(pack, min(offset for offset, _ in files), end, files, whole=True)
        else:
            yield from ranges(pack, files)

    def _write_range(self, wanted: _Range) -> None:
        with _named(wanted.files[0][1].path):
            data = self._blobs.pack(wanted.pack, (wanted.start, wanted.end), whole=wanted.whole)
        with self._writing, self._folder.twin() as folder:
            for offset, entry in wanted.files:
                start = offset - wanted.start
                part = data[start : start + entry.size]
                if hashlib.sha256(part).hexdigest() != entry.digest:
                    part = self._again(wanted.pack, offset, entry)
                folder.write_file(entry.path, part, executable=entry.executable)
        self._progress.add(
            files=len(wanted.files), size=sum(entry.size for _, entry in wanted.files)
        )

    def _again(self, pack: str, offset: int, entry: FileEntry) -> memoryview:
        """Fetch one file a second time, in case the transfer or the cache damaged it."""
        part = self._blobs.pack_again(pack, (offset, offset + entry.size))
        if hashlib.sha256(part).hexdigest() != entry.digest:
            raise BlobCorruptError(
                f"The bytes of {display(entry.path)} are not the ones of this version: the object "
                f"{pack_key(pack)} was changed or damaged in the storage. Restore it from a backup "
                "or make the version again."
            )
        return part

    def _add_long(self, entry: FileEntry, place: SegmentedAt) -> None:
        fd = self._folder.take_file(entry.path, size=entry.size, executable=entry.executable)
        was_there = fd is not None
        if fd is None:
            fd = self._folder.make_file(entry.path, executable=entry.executable)
        file = _LongFile(entry.path, fd, len(place.segments), was_there=was_there)
        self._long = [open_file for open_file in self._long if open_file.fd >= 0]
        self._long.append(file)
        with disk_errors(entry.path):
            os.ftruncate(fd, entry.size)  # what is not written from here on is a hole
        for number, digest in enumerate(place.segments):
            size = min(SEGMENT_BYTES, entry.size - number * SEGMENT_BYTES)
            self._pool.submit(partial(self._write_segment, file, number, digest, size))

    def _write_segment(self, file: _LongFile, number: int, digest: str, size: int) -> None:
        start = number * SEGMENT_BYTES
        if not self._holds_segment(file, start=start, digest=digest, size=size):

            def write(piece: Data, offset: int) -> None:
                _write(file.fd, memoryview(piece), start=start + offset, path=file.path)

            with _named(file.path):
                self._blobs.copy_segment(digest, size=size, write=write)
        self._progress.add(files=int(file.finished_one()), size=size)

    def _holds_segment(self, file: _LongFile, *, start: int, digest: str, size: int) -> bool:
        """Whether the file holds this segment already: as a hole, or from an earlier attempt."""
        is_zero = size == SEGMENT_BYTES and digest == zero_segment()
        if not file.was_there or is_hole(file.fd, start=start, size=size):
            return is_zero
        hasher = hashlib.sha256()
        with disk_errors(file.path):
            for offset in range(start, start + size, _PIECE):
                hasher.update(os.pread(file.fd, min(_PIECE, start + size - offset), offset))
        return hasher.hexdigest() == digest


def ranges(pack: str, files: list[tuple[int, FileEntry]]) -> Iterator[_Range]:
    """Split the wanted files of a pack into ranges without large gaps."""
    files = sorted(files, key=lambda item: (item[0], item[1].path))
    first = 0
    end = 0
    for index, (offset, entry) in enumerate(files):
        if index > first and offset > end + LARGEST_GAP:
            yield _Range(pack, files[first][0], end, files[first:index])
            first = index
        end = max(end, offset + entry.size) if index > first else offset + entry.size
    if files:
        yield _Range(pack, files[first][0], end, files[first:])


@contextmanager
def _named(path: bytes) -> Iterator[None]:
    """Say which file an object that is missing belongs to."""
    try:
        yield
    except BlobMissingError as error:
        raise BlobMissingError(
            f"A part of {display(path)} is not in the storage: {error} The version cannot be "
            "restored; make it again or restore the bucket from a backup."
        ) from error


def _write(fd: int, data: memoryview, *, start: int, path: bytes) -> None:
    with disk_errors(path):
        while data:
            written = os.pwrite(fd, data, start)
            data = data[written:]
            start += written
