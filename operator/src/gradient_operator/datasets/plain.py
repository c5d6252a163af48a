"""Writes a version as ordinary objects below a prefix of a bucket, one for each file.

For people and programs that know nothing of versions. Such a prefix holds names and bytes only:
links have no object, and neither have names that no S3 server takes. What is left out is told.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from gradient_operator.datasets.content import AHEAD, Content
from gradient_operator.datasets.entries import FileEntry, LinkEntry
from gradient_operator.datasets.layout import SEGMENT_BYTES
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.pool import CONCURRENCY, TransferPool
from gradient_operator.datasets.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.backend import BlobInfo, Data
    from gradient_operator.datasets.store import BlobStore

RawPath = bytes
LONGEST_KEY: Final = 1024
"""Bytes of a key, as Amazon's S3 allows."""
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]|\xef\xbf[\xbe\xbf]")
"""What a listing, which is XML 1.0, cannot hold."""


class Bucket(Protocol):
    """What is needed of the bucket that is written: see `backend.ObstoreBackend`."""

    def put(self, key: str, data: Data, *, create: bool) -> None:
        """Write an object."""

    def write(self, key: str, pieces: Iterator[memoryview]) -> None:
        """Write an object of any length."""

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All objects below a folder."""


@dataclass(slots=True)
class Exported:
    """What was written, and what could not be: its path and why."""

    files: int = 0
    bytes: int = 0
    left_out: list[tuple[RawPath, str]] = field(default_factory=list)


def export_plain(
    store: BlobStore,
    digest: str,
    bucket: Bucket,
    prefix: str,
    *,
    concurrency: int = CONCURRENCY,
    progress: ProgressMeter | None = None,
) -> Exported:
    """Write the version `digest` below `prefix` (without a slash at its end) of another bucket.

    Raises:
        BlobMissingError: the version or a part of it is not in the bucket.
        BlobCorruptError: the manifest or a blob was changed or damaged.
        StorageError: one of the storages does not answer or refuses us.
    """
    meter = progress or ProgressMeter()
    done = Exported()
    with (
        ManifestReader.fetch(store, digest) as manifest,
        ThreadPoolExecutor(AHEAD, thread_name_prefix="content") as ahead,
        TransferPool(concurrency) as pool,
    ):
        content = Content(store, ahead)
        for entry, place in manifest.located():
            store.cancellation.check()
            if isinstance(entry, LinkEntry):
                done.left_out.append((entry.path, "is a link"))
            if not isinstance(entry, FileEntry):
                continue
            key, problem = object_key(prefix, entry.path)
            if problem:
                done.left_out.append((entry.path, problem))
                continue
            pieces = content.pieces(entry, place)
            if entry.size > SEGMENT_BYTES:
                bucket.write(key, _counted(pieces, meter))
                meter.add(files=1)
            else:
                data = next(pieces, memoryview(b""))
                pool.submit(partial(_put, bucket, key, data, meter))
            done.files += 1
            done.bytes += entry.size
        pool.drain()
    return done


def object_key(prefix: str, path: bytes) -> tuple[str, str]:
    """The key of a file, and a few words on why it can have none, or nothing."""
    try:
        name = path.decode()
    except UnicodeDecodeError:
        return "", "has a name that is not UTF-8"
    if _CONTROL.search(path):
        return "", "has a name with control characters"
    key = f"{prefix}/{name}" if prefix else name
    if len(key.encode()) > LONGEST_KEY:
        return "", f"would have a key of more than {LONGEST_KEY} bytes"
    return key, ""


def _put(bucket: Bucket, key: str, data: memoryview, meter: ProgressMeter) -> None:
    bucket.put(key, data, create=False)
    meter.add(files=1, size=len(data))


def _counted(pieces: Iterator[memoryview], meter: ProgressMeter) -> Iterator[memoryview]:
    for piece in pieces:
        yield piece
        meter.add(size=len(piece))
