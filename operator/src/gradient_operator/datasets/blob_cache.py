"""Keeps blobs on a node's disk, so that the next job there need not fetch them again.

Entries are named by digest and only ever trusted after their bytes have been hashed again. Several
processes share a folder: they write under another name and rename, and a file lock guards how much
there is. Nothing here may fail a transfer: a disk that is full or broken means no cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.layout import is_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gradient_operator.datasets.backend import Data

_log = logging.getLogger(__name__)

ROOM: Final = 0.9
"""When entries have to go, so many go that this share of the limit is left."""
_PIECE: Final = 1024 * 1024
_UNFINISHED: Final = ".part"
_ABANDONED_SECONDS: Final = 3600.0
"""An unfinished entry of this age belongs to nobody any more."""
_LOCK: Final = "lock"
_USED: Final = "used"


@dataclass(slots=True)
class CacheCounts:
    """What a cache was good for: blobs found and not found, and bytes that came from it."""

    hits: int = 0
    misses: int = 0
    bytes: int = 0


class BlobCache:
    """One folder of blobs with at most `limit` bytes; safe for threads and processes."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._is_broken = False
        self._lock = threading.Lock()
        self.counts = CacheCounts()

    def copy(self, digest: str, *, size: int, write: Callable[[Data, int], None]) -> bool:
        """Hand over a blob piece by piece and check it; False if it is not here as it should be.

        As with `BlobStore.copy_verified` the pieces can be trusted only when this has returned.
        """
        fd = self._open(digest)
        if fd is None:
            return False
        hasher, offset = hashlib.sha256(), 0
        try:
            while piece := self._read(fd, offset):
                if offset + len(piece) > size:
                    break
                hasher.update(piece)
                write(piece, offset)
                offset += len(piece)
        finally:
            os.close(fd)
        if offset != size or hasher.hexdigest() != digest:
            self.drop(digest)
            return False
        self._count(hit=True, size=size)
        return True

    def read(self, digest: str, span: tuple[int, int]) -> bytes | None:
        """Read a part of a blob, unchecked; None if it is not here. The caller checks it."""
        fd = self._open(digest)
        if fd is None:
            return None
        try:
            data = os.pread(fd, span[1] - span[0], span[0])
        except OSError:
            data = b""
        finally:
            os.close(fd)
        if len(data) != span[1] - span[0]:
            self.drop(digest)
            return None
        self._count(hit=True, size=len(data))
        return data

    def drop(self, digest: str) -> None:
        """Forget an entry, if it is here, because its bytes are wrong."""
        with contextlib.suppress(OSError):
            self._path(digest).unlink()
            _log.warning("The cached object %s was damaged and is fetched again.", digest)

    @contextmanager
    def keeper(self, digest: str) -> Iterator[Keeper]:
        """Write an entry while its blob arrives; it is kept if `Keeper.finish` was called."""
        self._count(hit=False)
        path = self._path(digest)
        scratch = path.with_name(f"{digest}-{uuid.uuid4().hex}{_UNFINISHED}")
        fd = None
        if not self._is_broken:
            with self._guarded():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        keeper = Keeper(self, fd)
        try:
            yield keeper
            if fd is not None and keeper.finished:
                with self._guarded():
                    self._publish(scratch, path, os.fstat(fd).st_size)
        finally:
            if fd is not None:
                os.close(fd)
                with contextlib.suppress(OSError):
                    scratch.unlink(missing_ok=True)

    def _publish(self, scratch: Path, path: Path, size: int) -> None:
        """Give an entry its name, after making room for it."""
        if size > self._limit * ROOM:
            return
        with self._locked():
            counter = self._folder / _USED
            try:
                used = int(counter.read_text())
            except (OSError, ValueError):
                used = self._evict(self._limit * 1.0)
            if used + size > self._limit:
                used = self._evict(self._limit * ROOM - size)
            if not path.exists():
                used += size
            scratch.rename(path)
            counter.write_text(str(used))

    def _evict(self, bound: float) -> int:
        """Remove the entries used longest ago until `bound` bytes are left; gives what is left."""
        entries = []
        for folder in self._folder.iterdir():
            for path in folder.iterdir() if folder.is_dir() else ():
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    entries.append((status.st_mtime, status.st_size, path))
        used = 0
        kept = []
        for used_at, size, path in sorted(entries, key=lambda entry: entry[0]):
            if path.name.endswith(_UNFINISHED):
                if time.time() - used_at > _ABANDONED_SECONDS:
                    path.unlink(missing_ok=True)
                continue
            used += size
            kept.append((size, path))
        for size, path in kept:
            if used <= bound:
                break
            path.unlink(missing_ok=True)
            used -= size
        return used

    def _open(self, digest: str) -> int | None:
        if self._is_broken:
            return None
        try:
            fd = os.open(self._path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(fd)  # used now: others go first
        return fd

    @staticmethod
    def _read(fd: int, offset: int) -> bytes:
        try:
            return os.pread(fd, _PIECE, offset)
        except OSError:  # a disk that is broken here: the digest will not match
            return b""

    def _path(self, digest: str) -> Path:
        if not is_digest(digest):
            raise ValueError(f"{digest[:100]!r} is no digest")
        return self._folder / digest[:2] / digest

    def _count(self, *, hit: bool, size: int = 0) -> None:
        with self._lock:
            self.counts.hits += hit
            self.counts.misses += not hit
            self.counts.bytes += size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Do without the cache from now on if its disk fails."""
        try:
            yield
        except OSError as error:
            self.give_up(error)

    def give_up(self, error: OSError) -> None:
        """Say once that the cache cannot be used, and stop using it."""
        if not self._is_broken:
            self._is_broken = True
            _log.warning(
                "The cache of objects on this node is not used: %s. Give it a writable disk with "
                "room (blobCache in the operator's configuration).",
                error.strerror or error,
            )


class Keeper:
    """Takes the bytes of one entry, in pieces, as often as they come."""

    def __init__(self, cache: BlobCache, fd: int | None) -> None:
        self._cache = cache
        self._fd = fd
        self.finished = False

    def write(self, piece: Data, offset: int) -> None:
        """Note a piece; a disk that is full ends the cache, not the transfer."""
        if self._fd is None:
            return
        try:
            left = memoryview(piece)
            while left:
                written = os.pwrite(self._fd, left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:
            self._fd = None
            self._cache.give_up(error)

    def finish(self) -> None:
        """All bytes have come and have the right digest."""
        self.finished = self._fd is not None
