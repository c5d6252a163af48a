from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import reuse as module
from gradient_operator.datasets.entries import FileEntry, PackedAt
from gradient_operator.datasets.layout import pack_key
from gradient_operator.datasets.reuse import ReuseIndex

if TYPE_CHECKING:
    from gradient_operator.datasets.store import BlobStore

PACK = "ab" * 32
RAW = b"A" * 32


def entry(raw: bytes, size: int = 5) -> FileEntry:
    return FileEntry(b"f", size, raw.hex(), executable=False)


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
    from gradient_operator.datasets.manifest import ManifestWriter

    monkeypatch.setattr(module, "MOST_FILES", 2)
    store.put(pack_key(PACK), bytes(100))
    raws = [bytes([number]) * 32 for number in range(1, 5)]
    with ManifestWriter() as writer:
        for number, raw in enumerate(raws):
            found = FileEntry(b"%d" % number, 5, raw.hex(), executable=False)
            writer.add(found, PackedAt(PACK, number))
        version = writer.store(store)
    index = ReuseIndex(store, [version.digest])

    assert [index.find(entry(raw)) is not None for raw in raws] == [True, True, False, False]


def test_the_list_of_a_version_is_read_when_a_small_file_is_looked_up(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        module.ReuseIndex, "_read", lambda _, versions: read.extend(versions), raising=True
    )
    index = ReuseIndex(store, ["ab" * 32])
    assert read == []
    index.find(entry(RAW))
    index.find(entry(RAW))
    assert read == ["ab" * 32]
