"""Makes a directory out of a version and checks every byte on the way.

The manifest is read as a stream. Small files are gathered in windows, so that each pack is fetched
with few requests, in ranges; long files are fetched segment by segment. Links come last.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import (
    DirectoryEntry,
    FileEntry,
    LinkEntry,
    PackedAt,
    SegmentedAt,
)
from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError
from gradient_operator.datasets.holes import zero_segment
from gradient_operator.datasets.layout import SEGMENT_BYTES, pack_key, segment_key
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.paths import display
from gradient_operator.datasets.pool import TransferPool
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.tree import Folder, disk_errors, open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradient_operator.datasets.selection import Selection
    from gradient_operator.datasets.store import BlobStore

WINDOW_FILES: Final = 16_384
"""Small files that are looked at together: about 6 MiB of entries."""

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
    concurrency: int = 8,
    progress: ProgressMeter | None = None,
) -> Version:
    """Write the version `digest` into the directory `target` and return what it held.

    The directory must be new or empty; `replace` empties it. `only` says which
    paths are wanted. With `writable` all users may write (0777 and 0666), otherwise modes are 0755
    and 0644. Memory: about 16 MiB times `concurrency`.

    Raises:
        BlobMissingError: the version or a part of it is not in the bucket.
        BlobCorruptError: the manifest or a blob was changed or damaged; ManifestError is one.
        StorageUnavailableError: the storage did not work for as long as the retry policy allows.
        StorageRefusedError: the storage refuses us.
        LocalDiskError: the directory is not empty or cannot be written.
    """
    store.check_format()
    with (
        ManifestReader.fetch(store, digest) as manifest,
        open_target(target, writable=writable, replace=replace) as folder,
    ):
        pool = TransferPool(concurrency)
        work = _Restore(store, folder, pool, progress or ProgressMeter())
        with closing(work), pool:
            links = work.add_all(manifest, only)
            pool.drain()
        if links:
            for entry in manifest.entries():
                if isinstance(entry, LinkEntry) and (only is None or only.takes(entry)):
                    folder.make_link(entry.path, entry.target)
        return Version(digest=digest, bytes=work.bytes, files=work.files)


@dataclass(frozen=True, slots=True)
class _Range:
    """Neighbouring files of one pack that are fetched with one request."""

    pack: str
    start: int
    end: int
    files: Sequence[tuple[int, FileEntry]]


class _LongFile:
    """A file that several threads write; the last one closes it."""

    def __init__(self, path: bytes, fd: int, segments: int) -> None:
        self.path = path
        self.fd = fd
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
        self, store: BlobStore, folder: Folder, pool: TransferPool, progress: ProgressMeter
    ) -> None:
        self._store = store
        self._folder = folder
        self._pool = pool
        self._progress = progress
        self._window: dict[str, list[tuple[int, FileEntry]]] = {}
        self._gathered = 0
        self._long: list[_LongFile] = []
        self.files = 0
        self.bytes = 0

    def add_all(self, manifest: ManifestReader, only: Selection | None) -> int:
        """Create directories and files, and return how many links are to be made."""
        links = 0
        for entry, place in manifest.located():
            self._store.cancellation.check()
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

    def _add_small(self, entry: FileEntry, place: PackedAt) -> None:
        self._window.setdefault(place.pack, []).append((place.offset, entry))
        self._gathered += 1
        if self._gathered >= WINDOW_FILES:
            self._send_window()

    def _send_window(self) -> None:
        window, self._window, self._gathered = self._window, {}, 0
        for pack, files in window.items():
            for wanted in ranges(pack, files):
                self._pool.submit(partial(self._write_range, wanted))

    def _write_range(self, wanted: _Range) -> None:
        key = pack_key(wanted.pack)
        data = _fetched(
            lambda: self._store.get(key, (wanted.start, wanted.end)),
            wanted.files[0][1].path,
        )
        with self._folder.twin() as folder:
            for offset, entry in wanted.files:
                start = offset - wanted.start
                part = data[start : start + entry.size]
                if hashlib.sha256(part).hexdigest() != entry.digest:
                    part = self._again(key, offset, entry)
                fd = folder.make_file(entry.path, executable=entry.executable)
                try:
                    _write(fd, part, start=0, path=entry.path)
                finally:
                    os.close(fd)
                self._progress.add(files=1, size=entry.size)

    def _again(self, key: str, offset: int, entry: FileEntry) -> memoryview:
        """Fetch one file a second time, in case the transfer damaged it."""
        part = self._store.get(key, (offset, offset + entry.size))
        if hashlib.sha256(part).hexdigest() != entry.digest:
            raise BlobCorruptError(
                f"The bytes of {display(entry.path)} are not the ones of this version: the object "
                f"{key} was changed or damaged in the storage. Restore it from a backup or make "
                "the version again."
            )
        return part

    def _add_long(self, entry: FileEntry, place: SegmentedAt) -> None:
        fd = self._folder.make_file(entry.path, executable=entry.executable)
        file = _LongFile(entry.path, fd, len(place.segments))
        self._long = [open_file for open_file in self._long if open_file.fd >= 0]
        self._long.append(file)
        with disk_errors(entry.path):
            os.ftruncate(fd, entry.size)  # what is not written from here on is a hole
        for number, digest in enumerate(place.segments):
            size = min(SEGMENT_BYTES, entry.size - number * SEGMENT_BYTES)
            self._pool.submit(partial(self._write_segment, file, number, digest, size))

    def _write_segment(self, file: _LongFile, number: int, digest: str, size: int) -> None:
        if size < SEGMENT_BYTES or digest != zero_segment():
            key = segment_key(digest)
            data = _fetched(lambda: self._store.get_verified(key, digest, size=size), file.path)
            _write(file.fd, data, start=number * SEGMENT_BYTES, path=file.path)
        self._progress.add(files=int(file.finished_one()), size=size)


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


def _fetched(fetch: Callable[[], memoryview], path: bytes) -> memoryview:
    try:
        return fetch()
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
