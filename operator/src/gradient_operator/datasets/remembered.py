"""Remembers on this machine which version a directory was, so that it need not be read again.

A directory counts as unchanged if nothing in it has another name, kind, length, inode, or time of
change (ctime, which programs cannot set) than before, and all that is clearly older than the
look at it: a file that changes again within the clock's step would keep its time. What is
remembered is only ever believed together with the bucket: the manifest is written anew and every
blob is asked for, as after any upload (`sweeps.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.layout import is_digest
from gradient_operator.datasets.manifest import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gradient_operator.datasets.location import StorageLocation

FORMAT: Final = 2
STEP_SECONDS: Final = 2.0
"""No file system has coarser times."""
MOST_TREES: Final = 32
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Look:
    """What a directory looked like: a fingerprint, and whether all of it was settled by then."""

    fingerprint: str
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """A version, the least sizes in bytes of the blobs that it needs, and its manifest."""

    version: Version
    blobs: Mapping[str, int]
    manifest: bytes


def look(root: str | os.PathLike[str]) -> Look:
    """Look at everything below a directory without opening a file.

    Raises:
        OSError: a directory cannot be read, or is changed at this moment.
    """
    began = time.time()
    hasher = hashlib.sha256()
    fd = os.open(root, _DIRECTORY)
    try:
        newest = _look(fd, hasher.update)
    finally:
        os.close(fd)
    return Look(hasher.hexdigest(), newest < (began - STEP_SECONDS) * 1e9)


def _look(folder: int, note: Any) -> int:
    """Feed one folder to the hash; gives the newest ctime in nanoseconds."""
    found = []
    with os.scandir(folder) as items:
        for item in items:
            s = item.stat(follow_symlinks=False)
            times = (s.st_ctime_ns, s.st_mtime_ns)
            found.append((item.name, s.st_mode, times, s.st_size, s.st_dev, s.st_ino))
    found.sort()
    note(repr(found).encode())  # one text for one folder: this runs for every file of large trees
    newest = max((times[0] for _, _, times, *_ in found), default=0)
    for name, mode, *_ in found:
        if stat.S_ISDIR(mode):
            below = os.open(name, _DIRECTORY, dir_fd=folder)
            try:
                newest = max(newest, _look(below, note))
            finally:
                os.close(below)
    return newest


class TreeMemory:
    """What one directory was when it was stored at one location, in two files of a folder."""

    def __init__(self, folder: Path, location: StorageLocation, source: Path) -> None:
        name = hashlib.sha256(
            f"{location.to_json()}\n{source.resolve()}".encode(errors="surrogateescape")
        ).hexdigest()
        self._folder = folder
        self._index = folder / f"{name}.json"
        self._manifest = folder / f"{name}.manifest"

    def recall(self, seen: Look) -> Memory | None:
        """What the directory was, if it looks the same; None if nobody knows."""
        try:
            raw = json.loads(self._index.read_bytes())
            manifest = self._manifest.read_bytes()
            if (raw["v"], raw["tree"]) != (FORMAT, seen.fingerprint):
                return None
            if hashlib.sha256(manifest).hexdigest() != raw["manifest"]:
                return None
            version = Version(digest=raw["digest"], bytes=raw["bytes"], files=raw["files"])
            blobs = {str(key): int(size) for key, size in raw["blobs"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Memory(version, blobs, manifest) if is_digest(version.digest) else None

    def keep(self, seen: Look, known: Memory) -> None:
        """Remember; a folder that cannot be written remembers nothing."""
        body = {
            "v": FORMAT,
            "tree": seen.fingerprint,
            "digest": known.version.digest,
            "bytes": known.version.bytes,
            "files": known.version.files,
            "blobs": dict(known.blobs),
            "manifest": hashlib.sha256(known.manifest).hexdigest(),
        }
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._manifest, known.manifest)
            _replace(self._index, json.dumps(body).encode())
            self._forget_the_oldest()
        except OSError:
            return

    def _forget_the_oldest(self) -> None:
        indexes = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in indexes[:-MOST_TREES]:
            path.unlink(missing_ok=True)
            path.with_suffix(".manifest").unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
