from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest
import zstandard

from gradient_operator.datasets import manifest as module
from gradient_operator.datasets.entries import (
    DirectoryEntry,
    Entry,
    FileEntry,
    LinkEntry,
    PackedAt,
    encode_entry,
)
from gradient_operator.datasets.errors import BlobMissingError, ManifestError, TreeError
from gradient_operator.datasets.layout import EMPTY_SHA256, manifest_key
from gradient_operator.datasets.manifest import HEADER, ManifestReader, ManifestWriter

if TYPE_CHECKING:
    from gradient_operator.datasets.store import BlobStore

DIGEST = hashlib.sha256(b"abc").hexdigest()
PACK = hashlib.sha256(b"pack").hexdigest()


def file(path: bytes) -> FileEntry:
    return FileEntry(path, 3, DIGEST, executable=False)


def hostile(store: BlobStore, content: bytes, locators: bytes = b"") -> ManifestReader:
    """A manifest with the digest of its content, whatever that is."""
    digest = hashlib.sha256(content).hexdigest()
    store.put(manifest_key(digest), zstandard.compress(content + b"\n" + locators))
    return ManifestReader.fetch(store, digest)


def lines(*entries: Entry) -> bytes:
    return HEADER + b"".join(map(encode_entry, entries))


def test_manifest_gives_back_what_was_written(store: BlobStore) -> None:
    entries: list[tuple[Entry, PackedAt | None]] = [
        (DirectoryEntry(b"a"), None),
        (file(b"a-b"), PackedAt(PACK, 0)),
        (file(b"a/x"), PackedAt(PACK, 3)),
        (FileEntry(b"empty", 0, EMPTY_SHA256, executable=True), None),
        (LinkEntry(b"l", b"a"), None),
    ]
    with ManifestWriter() as writer:
        for entry, place in entries:
            writer.add(entry, place)
        version = writer.store(store)

    with ManifestReader.fetch(store, version.digest) as reader:
        assert list(reader.located()) == entries
        assert list(reader.entries()) == [entry for entry, _ in entries]
        assert reader.version() == version
    assert (version.files, version.bytes) == (3, 6)


def test_id_is_the_digest_of_the_content_section_alone(store: BlobStore) -> None:
    versions = []
    for offset in (0, 500):
        with ManifestWriter() as writer:
            writer.add(file(b"a"), PackedAt(PACK, offset))
            versions.append(writer.store(store))

    assert versions[0] == versions[1]
    assert versions[0].digest == hashlib.sha256(lines(file(b"a"))).hexdigest()


def test_stored_manifest_is_plain_zstd(store: BlobStore) -> None:
    with ManifestWriter() as writer:
        writer.add(file(b"a"), PackedAt(PACK, 9))
        digest = writer.store(store).digest

    data = bytes(store.get(manifest_key(digest)))
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    content, _, locators = reader.read().partition(b"\n\n")

    assert hashlib.sha256(content + b"\n").hexdigest() == digest
    assert locators.count(b"\n") == 1


def test_writer_refuses_wrong_order() -> None:
    with ManifestWriter() as writer:
        writer.add(file(b"b"), PackedAt(PACK, 0))
        with pytest.raises(ValueError, match="out of order"):
            writer.add(file(b"a"), PackedAt(PACK, 0))


def test_writer_bounds_the_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 2)
    with ManifestWriter() as writer:
        writer.add(DirectoryEntry(b"a"))
        writer.add(DirectoryEntry(b"b"))
        with pytest.raises(TreeError) as caught:
            writer.add(DirectoryEntry(b"c"))
    assert caught.value.reason == "TooManyFiles"


@pytest.mark.parametrize(
    "content",
    [
        lines(file(b"b"), file(b"a")),
        lines(file(b"a"), file(b"a")),
        lines(file(b"a/b")),
        lines(file(b"a"), file(b"a/b")),
        lines(LinkEntry(b"a", b"/etc"), file(b"a/passwd")),
        lines(DirectoryEntry(b"a"), DirectoryEntry(b"b"), file(b"a/b/c")),
        lines(file(b"a")).replace(b'"p":"a"', b'"p":"../a"'),
        lines(file(b"a")).replace(b'"p":"a"', b'"p":"/a"'),
        lines(file(b"a")).replace(b'"p":"a"', b'"p":"a\\u0000"'),
        lines(file(b"a")).removeprefix(HEADER),
        HEADER.replace(b"fixed", b"fancy") + lines(file(b"a")).removeprefix(HEADER),
        b"not a manifest\n",
    ],
    ids=range(12),
)
def test_hostile_content_is_refused_although_its_digest_is_right(
    store: BlobStore, content: bytes
) -> None:
    with hostile(store, content, b'{"in":"%s","o":0}\n' % PACK.encode()) as reader:
        for read in (reader.entries, reader.located):
            with pytest.raises(ManifestError):
                list(read())


def test_number_of_locators_must_be_that_of_the_files(store: BlobStore) -> None:
    locator = b'{"in":"%s","o":0}\n' % PACK.encode()
    for count in (0, 2):
        with hostile(store, lines(file(b"a")), locator * count) as reader:
            assert list(reader.entries()) == [file(b"a")]
            with pytest.raises(ManifestError):
                list(reader.located())


def test_missing_manifest_is_told_from_a_damaged_one(store: BlobStore) -> None:
    with pytest.raises(BlobMissingError) as caught:
        ManifestReader.fetch(store, DIGEST)
    assert caught.value.reason == "VersionMissing"
    assert DIGEST in str(caught.value)


@pytest.mark.parametrize("digest", ["", "abc", "../../x", DIGEST.upper(), DIGEST + "0"])
def test_digest_of_a_version_must_be_one(store: BlobStore, digest: str) -> None:
    with pytest.raises(ManifestError):
        ManifestReader.fetch(store, digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-16],
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"junk",
        lambda _: zstandard.compress(b""),
        lambda _: zstandard.compress(b"no empty line"),
        lambda _: zstandard.compress(HEADER + b"\n"),
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    ],
    ids=["cut", "half", "empty", "junk", "nothing", "one line", "other version", "bit"],
)
def test_changed_manifest_is_refused(store: BlobStore, change: object) -> None:
    with ManifestWriter() as writer:
        for number in range(200):
            writer.add(file(b"%03d" % number), PackedAt(PACK, number))
        digest = writer.store(store).digest
    data = bytes(store.get(manifest_key(digest)))
    store.put(manifest_key(digest), change(data))  # type: ignore[operator]

    with pytest.raises(ManifestError), ManifestReader.fetch(store, digest) as reader:
        list(reader.located())


def test_compressed_bombs_are_refused_early(store: BlobStore) -> None:
    one_line = zstandard.compress(bytes(200_000_000))
    many_lines = zstandard.compress(b"x\n" * 6_000_000)
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27)
    ).compress(bytes(20_000_000))
    for body, part in (
        (one_line, "too large"),
        (many_lines, "too large"),
        (wide, "cannot be decompressed"),
    ):
        store.put(manifest_key(DIGEST), body)
        with pytest.raises(ManifestError, match=part):
            ManifestReader.fetch(store, DIGEST)


def test_long_lines_in_the_locators_are_refused(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LOCATOR", 1000)
    with (
        hostile(store, lines(file(b"a")), b"x" * 1_000_000) as reader,
        pytest.raises(ManifestError, match="line of more than"),
    ):
        list(reader.located())


def test_manifest_above_the_size_limit_is_refused(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_MANIFEST", 10)
    store.put(manifest_key(DIGEST), b"x" * 11)
    with pytest.raises(Exception, match="longer than 10 bytes"):
        ManifestReader.fetch(store, DIGEST)
