from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.mirror import (
    DatasetRecord,
    VersionRecord,
    decode,
    encode,
    read_all,
    write,
)

if TYPE_CHECKING:
    from gradient_operator.datasets.store import BlobStore

DATASET = DatasetRecord(
    namespace="ns", name="cats", spec={"tags": {"best": "a" * 12}}, latest="0" * 64
)
VERSION = VersionRecord(
    namespace="ns",
    spec={"dataset": "cats", "digest": "0" * 64, "version": "a" * 12},
    created="2026-01-31T12:00:00Z",
)


def test_records_come_back(store: BlobStore) -> None:
    for record in (DATASET, VERSION):
        write(store, record)
    assert sorted(read_all(store), key=repr) == [DATASET, VERSION]


def test_no_name_of_a_user_is_part_of_a_key() -> None:
    assert "cats" not in DATASET.key
    assert VERSION.key.startswith(DATASET.key.removesuffix("dataset.json"))


def test_a_record_in_a_strangers_place_is_passed_over(store: BlobStore) -> None:
    store.put(VERSION.key, encode(DATASET))
    store.put(DATASET.key, b"x" * 2 * 2**20)
    assert list(read_all(store)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"v":2,"namespace":"ns","spec":{},"name":"n"}',
        b'{"v":1,"namespace":1,"spec":{},"name":"n"}',
        b'{"v":1,"namespace":"ns","spec":{"dataset":"d","digest":"../x"},"created":""}',
        b'{"v":1,"namespace":"ns","spec":{"digest":"' + b"0" * 64 + b'"},"created":""}',
    ],
)
def test_junk_is_no_record(data: bytes) -> None:
    assert decode(data) is None
