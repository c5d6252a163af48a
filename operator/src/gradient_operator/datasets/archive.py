"""Writes a version as a tar archive, into a file or a pipe, without a copy on disk.

Entries come in the order of the manifest with fixed owners and times, so the same version is the
same archive, byte for byte. Memory: a few segments that are fetched ahead, and the last packs.
"""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Final

from gradient_operator.datasets.content import AHEAD, Content
from gradient_operator.datasets.entries import DirectoryEntry, FileEntry, LinkEntry
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.entries import Entry
    from gradient_operator.datasets.store import BlobStore

_BUFFER: Final = 1024 * 1024


def write_tar(
    store: BlobStore, digest: str, file: BinaryIO, *, progress: ProgressMeter | None = None
) -> Version:
    """Write the version `digest` to `file`, which need not be seekable, and return what it held.

    Raises:
        BlobMissingError: the version or a part of it is not in the bucket.
        BlobCorruptError: the manifest or a blob was changed or damaged.
        StorageError: the storage does not answer or refuses us.
        OSError: `file` cannot be written.
    """
    meter = progress or ProgressMeter()
    with (
        ManifestReader.fetch(store, digest) as manifest,
        ThreadPoolExecutor(AHEAD, thread_name_prefix="archive") as pool,
        tarfile.open(
            fileobj=file,
            mode="w|",
            bufsize=_BUFFER,
            format=tarfile.GNU_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive,
    ):
        content = Content(store, pool)
        for entry, place in manifest.located():
            store.cancellation.check()
            header = _header(entry)
            if isinstance(entry, FileEntry):
                archive.addfile(header, _Pieces(content.pieces(entry, place), meter))
                meter.add(files=1)
            else:
                archive.addfile(header)
    done = meter.value
    return Version(digest=digest, bytes=done.bytes, files=done.files)


def _header(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(_text(entry.path))
    info.mode = 0o755
    if isinstance(entry, DirectoryEntry):
        info.type = tarfile.DIRTYPE
    elif isinstance(entry, LinkEntry):
        info.type = tarfile.SYMTYPE
        info.linkname = _text(entry.target)
        info.mode = 0o777
    else:
        info.size = entry.size
        info.mode = 0o755 if entry.executable else 0o644
    return info


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


class _Pieces(io.RawIOBase):
    """A file made of pieces, as tarfile reads one."""

    def __init__(self, pieces: Iterator[memoryview], meter: ProgressMeter) -> None:
        self._pieces = pieces
        self._meter = meter
        self._piece = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        parts: list[memoryview] = []
        left = size if size >= 0 else 1 << 62
        while left:
            if not self._piece:
                self._piece = next(self._pieces, memoryview(b""))
                if not self._piece:
                    break
            part = self._piece[:left]
            self._piece = self._piece[len(part) :]
            left -= len(part)
            parts.append(part)
        data = b"".join(parts)
        self._meter.add(size=len(data))
        return data
