from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

import pytest

from gradient_operator.datasets import reuse as module
from gradient_operator.datasets.entries import FileEntry, PackedAt
from gradient_operator.datasets.errors import BlobMissingError, ManifestError
from gradient_operator.datasets.layout import pack_key
from gradient_operator.datasets.manifest import ManifestWriter
from gradient_operator.datasets.reuse import ReuseIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.store import BlobStore

PACK = "ab" * 32
RAW = b"A" * 32


def entry(raw: bytes, size: int = 5) -> FileEntry:
    return FileEntry(b"f", size, raw.hex(), executable=False)


def stored(store: BlobStore, raws: list[bytes]) -> str:
    """Write the list of a version whose small files have these digests, at offsets 0, 1, …"""
    with ManifestWriter() as writer:
        for number, raw in enumerate(raws):
            found = FileEntry(b"%d" % number, 5, raw.hex(), executable=False)
            writer.add(found, PackedAt(PACK, number))
        return writer.store(store).digest


@pytest.fixture
def index(store: BlobStore) -> ReuseIndex:
    store.put(pack_key(PACK), bytes(100))
    found = ReuseIndex(store)
    found._add(RAW, PackedAt(PACK, 90))
    return found


def test_known_bytes_are_found(index: ReuseIndex) -> None:
    assert index.find(entry(RAW)) == PackedAt(PACK, 90)
    assert index.find(entry(b"B" * 32)) is None


def test_place_behind_the_end_of_its_pack_is_not_used(index: ReuseIndex) -> None:
    assert index.find(entry(RAW, 10)) == PackedAt(PACK, 90)
    assert index.find(entry(RAW, 11)) is None


def test_bytes_across_two_fields_are_not_taken_for_a_digest(index: ReuseIndex) -> None:
    across = RAW[8:] + struct.pack("<II", 0, 90)

    assert index.find(entry(across)) is None
    index._add(across, PackedAt(PACK, 7))
    assert index.find(entry(across)) == PackedAt(PACK, 7)


def test_empty_index_asks_nothing(store: BlobStore) -> None:
    assert ReuseIndex(store).find(entry(RAW)) is None


def test_number_of_remembered_files_is_bounded(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 2)
    store.put(pack_key(PACK), bytes(100))
    raws = [bytes([number]) * 32 for number in range(1, 5)]
    version = stored(store, raws)
    index = ReuseIndex(store, [version])

    assert [index.find(entry(raw)) is not None for raw in raws[::-1]] == [False, False, True, True]
    index.close()
    alongside = ReuseIndex(store, ["cd" * 32, version])
    assert [alongside.find(entry(raw)) for raw in raws] == [PackedAt(PACK, n) for n in range(4)]
    alongside.close()


def test_files_are_found_when_others_came_between_or_are_gone(store: BlobStore) -> None:
    raws = [bytes([number]) * 32 for number in range(1, 7)]
    store.put(pack_key(PACK), bytes(100))
    version = stored(store, raws)
    new, other = b"N" * 32, b"O" * 32
    index = ReuseIndex(store, [version])

    asked = [raws[0], raws[1], new, raws[2], raws[4], raws[3], other, raws[5]]
    found = [index.find(entry(raw)) for raw in asked]

    assert [place.offset if place else None for place in found] == [0, 1, None, 2, 4, 3, None, 5]


def test_a_list_that_breaks_off_is_passed_over(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def packed(_: object) -> Iterator[tuple[str, PackedAt]]:
        yield RAW.hex(), PackedAt(PACK, 1)
        raise ManifestError("damaged")

    store.put(pack_key(PACK), bytes(100))
    version = stored(store, [RAW])
    monkeypatch.setattr(module.ManifestReader, "packed", packed)
    index = ReuseIndex(store, [version])

    assert index.find(entry(RAW)) == PackedAt(PACK, 1)
    assert index.find(entry(b"B" * 32)) is None
    assert index.find(entry(RAW)) == PackedAt(PACK, 1)


def test_a_version_read_alongside_needs_its_packs(store: BlobStore) -> None:
    """Its pack may have been collected, or be shorter than the list says."""
    assert ReuseIndex(store, [stored(store, [RAW])]).find(entry(RAW)) is None


def test_the_list_of_a_version_is_read_when_a_small_file_is_looked_up(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def fetch(_: object, digest: str) -> NoReturn:
        read.append(digest)
        raise BlobMissingError(digest)

    monkeypatch.setattr(module.ManifestReader, "fetch", fetch)
    index = ReuseIndex(store, ["ab" * 32])
    assert read == []
    for _ in range(3):
        assert index.find(entry(RAW)) is None
    assert read == ["ab" * 32, "ab" * 32]  # alongside, and to remember it
