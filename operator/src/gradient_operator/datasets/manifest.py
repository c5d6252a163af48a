"""The manifest of a version: written and read as a stream, whatever the number of entries.

A manifest is zstd of a content section, an empty line and a locator section (`entries.py`). The
version's id is the SHA-256 of the content section, so it depends on the files alone; where their
bytes stand is checked by the digests of the content when they are read.

Entries are in the order of their raw paths, every directory is listed, and a parent comes before
its children. That lets reader and writer check the tree with a stack of the open folders only.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

import zstandard

from gradient_operator.datasets.entries import (
    DirectoryEntry,
    Entry,
    FileEntry,
    Locator,
    PackedAt,
    decode_entry,
    decode_locator,
    encode_entry,
    encode_locator,
)
from gradient_operator.datasets.errors import BlobMissingError, ManifestError, TreeError
from gradient_operator.datasets.layout import SEGMENT_BYTES, is_digest, manifest_key
from gradient_operator.datasets.paths import display, parent
from gradient_operator.datasets.store import BlobStore, open_spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from gradient_operator.datasets.backend import Data

HEADER: Final = b'{"chunking":"fixed:%d","manifest":1}\n' % SEGMENT_BYTES
MOST_ENTRIES: Final = 5_000_000
LONGEST_ENTRY: Final = 160 * 1024
LONGEST_LOCATOR: Final = 16 * 1024 * 1024
LARGEST_MANIFEST: Final = 2 * 1024**3
_PIECE: Final = 128 * 1024
_FILE_LINE: Final = re.compile(
    rb'\{"d":"((?:t16:)?[0-9a-f]{64})",.*,"s":([0-9]{1,19}),"t":"f"(?:,"x":1)?\}\Z', re.DOTALL
)
_PACKED_LINE: Final = re.compile(rb'\{"in":"([0-9a-f]{64})","o":([0-9]{1,8})\}\Z')
_WINDOW: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a version is: its id, the sum of its files' lengths in bytes, and their number."""

    digest: str
    bytes: int
    files: int


class TreeOrder:
    """Checks that entries come in order, once each, and below directories that were listed."""

    def __init__(self) -> None:
        self._last = b""
        self._folder = b""
        self._open: list[bytes] = []

    def problem(self, entry: Entry) -> str | None:
        """Say what is wrong with the next entry, or None.

        All directories that may still get children are prefixes of the current path.
        """
        path = entry.path
        if path <= self._last:
            return "is out of order or listed twice"
        self._last = path
        folder = parent(path)
        if folder != self._folder:
            problem = self._enter(path, folder)
            if problem:
                return problem
        if isinstance(entry, DirectoryEntry):
            self._open.append(path)
        return None

    def _enter(self, path: bytes, folder: bytes) -> str | None:
        """Look whether the folder was listed; what was listed once need not be looked for again."""
        while self._open and not path.startswith(self._open[-1]):
            self._open.pop()
        if folder and folder not in self._open:
            return "lies below something that is not a listed directory"
        self._folder = folder
        return None


class ManifestWriter:
    """Collects entries in order of their paths; memory does not grow with their number."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._content = self._stack.enter_context(open_spool())
        self._locators = self._stack.enter_context(open_spool())
        self._content_zstd = _compressor(self._content)
        self._locator_zstd = _compressor(self._locators)
        self._hash = hashlib.sha256()
        self._order = TreeOrder()
        self._entries = self._files = self._bytes = 0
        self._lines = bytearray(HEADER)
        self._places = bytearray(b"\n")

    def add(self, entry: Entry, locator: Locator | None = None) -> None:
        """Append an entry; a file that is not empty needs its locator.

        Raises:
            TreeError: there are too many entries.
            ValueError: the caller broke the order.
        """
        problem = self._order.problem(entry)
        if problem:
            raise ValueError(f"the entry {display(entry.path)} {problem}")
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            raise TreeError(
                f"The directory holds more than {MOST_ENTRIES:,} entries: pack them into archives.",
                reason="TooManyFiles",
            )
        self._lines += encode_entry(entry)
        if isinstance(entry, FileEntry):
            self._files += 1
            self._bytes += entry.size
            if locator is not None:
                self._places += encode_locator(locator)
        if len(self._lines) >= _PIECE or len(self._places) >= _PIECE:
            self._write()

    def store(self, store: BlobStore) -> Version:
        """Write the manifest to the bucket, after all its blobs, and return the version.

        An older manifest of the same version is replaced: it may name places that have been
        collected since, and the places named here have just been seen.
        """
        self._write()
        self._content_zstd.flush(zstandard.FLUSH_FRAME)
        self._locator_zstd.flush(zstandard.FLUSH_FRAME)
        self._locators.seek(0)
        shutil.copyfileobj(self._locators, self._content)
        digest = self._hash.hexdigest()
        store.put(manifest_key(digest), self.contents())
        return Version(digest=digest, bytes=self._bytes, files=self._files)

    def contents(self) -> Data:
        """The manifest as `store` has written it; valid until this writer is closed."""
        return _contents(self._content)

    def _write(self) -> None:
        """Compress what has been gathered: line by line it would take twice as long."""
        self._hash.update(self._lines)
        self._content_zstd.write(self._lines)
        self._locator_zstd.write(self._places)
        self._lines, self._places = bytearray(), bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


class ManifestReader:
    """A manifest whose content section has been verified against the version's id.

    Use it as a context manager; it holds a temporary file.
    """

    def __init__(self, file: BinaryIO, digest: str) -> None:
        """Take over `file`, which is positioned at its start.

        Raises:
            ManifestError: the content is damaged, too large, or has another digest.
        """
        self._file = file
        self.digest = digest
        self._content_bytes = _verify(file, digest)

    @classmethod
    def fetch(cls, store: BlobStore, digest: str) -> ManifestReader:
        """Fetch and verify the manifest of a version.

        Raises:
            BlobMissingError: the bucket does not hold this version.
            ManifestError: the manifest was changed or damaged.
        """
        if not is_digest(digest):
            raise ManifestError(f"{digest[:100]!r} is not the digest of a version.")
        try:
            file = store.spool(manifest_key(digest), limit=LARGEST_MANIFEST)
        except BlobMissingError as error:
            raise BlobMissingError(
                f"The dataset version {digest} is not in the storage: {error} It was deleted, or "
                "the storage provider points at another bucket or prefix.",
                reason="VersionMissing",
            ) from error
        try:
            return cls(file, digest)
        except BaseException:
            file.close()
            raise

    def entries(self) -> Iterator[Entry]:
        """All entries, checked, in the order of their paths.

        Raises:
            ManifestError: an entry is malformed, out of order or breaks the path rules.
        """
        order = TreeOrder()
        with _decompressor(self._file, 0) as reader:
            lines = _lines(reader, LONGEST_ENTRY)
            if next(lines, b"") + b"\n" != HEADER:
                raise ManifestError(f"The manifest {self.digest} has an unknown format.")
            for line in lines:
                if not line:
                    return
                entry = decode_entry(line)
                problem = order.problem(entry)
                if problem:
                    raise ManifestError(f"The manifest's entry {display(entry.path)} {problem}.")
                yield entry

    def located(self) -> Iterator[tuple[Entry, Locator | None]]:
        """All entries with the place of their bytes; None for empty files and all others.

        Raises:
            ManifestError: as `entries`, or the locators do not fit the files.
        """
        with _decompressor(self._file, self._content_bytes + 1) as reader:
            lines = _lines(reader, LONGEST_LOCATOR)
            for entry in self.entries():
                if isinstance(entry, FileEntry) and entry.size:
                    yield entry, decode_locator(next(lines, b""), entry)
                else:
                    yield entry, None
            if next(lines, None) is not None:
                raise ManifestError(f"The manifest {self.digest} has more locators than files.")

    def packed(self) -> Iterator[tuple[str, PackedAt]]:
        """Digests of the files in packs, and their places: `located` for those in a hurry.

        Only what is given is read, and no rule about paths or their order is checked: for looking
        up bytes, never for writing files.

        Raises:
            ManifestError: a line is malformed, or the locators do not fit the files.
        """
        with (
            _decompressor(self._file, self._content_bytes + 1) as places,
            _decompressor(self._file, 0) as content,
        ):
            locators = _lines(places, LONGEST_LOCATOR)
            for line in _lines(content, LONGEST_ENTRY):
                if not line:
                    return
                if not line.startswith(b'{"d":'):
                    continue
                found = _FILE_LINE.match(line)
                if found is None:
                    raise ManifestError(f"The manifest {self.digest} has a malformed entry.")
                if found[2] == b"0":
                    continue
                place = _PACKED_LINE.match(next(locators, b""))
                if place is not None:
                    yield found[1].decode(), PackedAt(place[1].decode(), int(place[2]))

    def version(self) -> Version:
        """Read all entries and add up files and bytes."""
        sizes = [0, 0]
        for entry in self.entries():
            if isinstance(entry, FileEntry):
                sizes[0] += 1
                sizes[1] += entry.size
        return Version(digest=self.digest, files=sizes[0], bytes=sizes[1])

    def close(self) -> None:
        """Give the temporary file back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Cursor:
    """A position of its own in a file that several readers share in one thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Read from this cursor's position."""
        self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data


def _compressor(target: BinaryIO) -> zstandard.ZstdCompressionWriter:
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
    return compressor.stream_writer(target, closefd=False)


def _decompressor(source: BinaryIO, skip: int) -> zstandard.ZstdDecompressionReader:
    cursor = cast("BinaryIO", _Cursor(source))
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
        cursor, read_size=_PIECE, read_across_frames=True, closefd=False
    )
    while skip and (piece := _read(reader, min(skip, _PIECE))):
        skip -= len(piece)
    return reader


def _read(reader: zstandard.ZstdDecompressionReader, size: int) -> bytes:
    try:
        piece = reader.read(size)
    except zstandard.ZstdError as error:
        raise ManifestError(f"A manifest cannot be decompressed: {error}.") from None
    return piece


def _lines(reader: zstandard.ZstdDecompressionReader, longest: int) -> Iterator[bytes]:
    rest = b""
    while piece := _read(reader, _PIECE):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        if len(rest) > longest:
            raise ManifestError(f"A manifest has a line of more than {longest} bytes.")
        yield from lines
    if rest:
        raise ManifestError("A manifest ends in the middle of a line.")


def _verify(file: BinaryIO, digest: str) -> int:
    """Hash the content section and return its length."""
    hasher = hashlib.sha256()
    length = lines = unbroken = 0
    last = b""
    with _decompressor(file, 0) as reader:
        while True:
            piece = _read(reader, _PIECE)
            if not piece:
                raise ManifestError(f"The manifest of version {digest} is truncated.")
            end = (last + piece).find(b"\n\n")
            taken = piece if end < 0 else piece[: end + 1 - len(last)]
            hasher.update(taken)
            length += len(taken)
            if end >= 0:
                break
            lines += piece.count(b"\n")
            unbroken = 0 if b"\n" in piece else unbroken + len(piece)
            if lines > MOST_ENTRIES + 1 or unbroken > LONGEST_ENTRY:
                raise ManifestError(f"The manifest of version {digest} is too large to be ours.")
            last = piece[-1:]
    if hasher.hexdigest() != digest:
        raise ManifestError(
            f"The manifest of version {digest} was changed or damaged in the storage: its content "
            f"has the digest {hasher.hexdigest()}."
        )
    return length


def _contents(file: BinaryIO) -> Data:
    if isinstance(file, io.BytesIO):
        return file.getvalue()
    file.flush()
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
