from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    StorageUnavailableError,
)
from gradient_operator.datasets.layout import SEGMENT_BYTES, run_key
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.result import UploadResult, read_result, write_result
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from tests.unit.datasets.trees import (
    FaultyBackend,
    Node,
    conflict_first,
    fail_first,
    make_tree,
    read_tree,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import Backend
    from gradient_operator.datasets.manifest import Version

TREE: dict[bytes, Node] = {
    b"a": None,
    b"a-b": b"between",
    b"a/\xff\n": b"odd",
    b"a/new\nline": b"x",
    b"deep/er/and/deeper": b"y",
    b"dangling": ("l", b"nowhere"),
    b"absolute": ("l", b"/var/run/gradient/storage"),
    b"up": ("l", b"../.."),
    b"empty": b"",
    b"run": ("x", b"#!"),
    "ünï 🎉".encode(): b"z" * 5000,
    b"big": os.urandom(SEGMENT_BYTES + 12345),
    b"void": None,
    b"x" * 255: b"long name",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", TREE)


def test_tree_comes_back_byte_for_byte(any_store: BlobStore, tree: Path, tmp_path: Path) -> None:
    version = snapshot(any_store, tree)

    assert restore(any_store, version.digest, tmp_path / "back") == version
    assert read_tree(tmp_path / "back") == read_tree(tree)


def test_only_digests_become_keys(any_store: BlobStore, tree: Path) -> None:
    snapshot(any_store, tree)

    keys = sorted(info.key for info in any_store.list("v1"))

    assert keys[0] == "v1/FORMAT"
    assert {key.split("/")[1] for key in keys} == {"FORMAT", "manifests", "packs", "segments"}
    assert all(len(key.rsplit("/", 1)[1]) == 64 for key in keys[1:])


def test_create_and_replace(any_store: BlobStore) -> None:
    assert any_store.add("v1/x", b"one")
    assert not any_store.add("v1/x", b"two")
    assert bytes(any_store.get("v1/x", (1, 3))) == b"ne"
    any_store.put("v1/x", b"three")
    assert bytes(any_store.get("v1/x")) == b"three"
    assert any_store.size("v1/x") == 5
    assert any_store.size("v1/y") is None
    with pytest.raises(BlobMissingError):
        any_store.get("v1/y")


def test_reuse_of_an_earlier_version(any_store: BlobStore, tree: Path, tmp_path: Path) -> None:
    first = snapshot(any_store, tree)
    make_tree(tree, {b"added": b"new"})
    before = {info.key for info in any_store.list("v1")}

    second = snapshot(any_store, tree, base=[first.digest])

    sizes = [info.size for info in any_store.list("v1/packs") if info.key not in before]
    assert sizes == [3]
    restore(any_store, second.digest, tmp_path / "back")
    assert read_tree(tmp_path / "back") == read_tree(tree)


def test_writers_of_one_tree_agree(any_store: BlobStore, tree: Path, tmp_path: Path) -> None:
    found: list[Version] = []
    start = threading.Barrier(4)

    def write() -> None:
        start.wait(30)
        found.append(snapshot(any_store, tree, concurrency=2))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1
    restore(any_store, found[0].digest, tmp_path / "back")


def test_results_and_abort_marker(any_store: BlobStore) -> None:
    wanted = UploadResult(outputs={}, strings={"acc": "0.93", "long": "x" * 60_000})
    write_result(any_store, "uid-1", wanted)

    assert read_result(any_store, "runs/uid-1/result.json") == wanted
    assert any_store.size(run_key("uid-1", "abort")) is None
    any_store.put(run_key("uid-1", "abort"), b"")
    assert any_store.size(run_key("uid-1", "abort")) == 0


@pytest.mark.parametrize("part", ["packs", "segments", "manifests"])
def test_tampering_is_found(any_store: BlobStore, tree: Path, tmp_path: Path, part: str) -> None:
    digest = snapshot(any_store, tree).digest
    for info in list(any_store.list(f"v1/{part}")):
        data = bytearray(any_store.get(info.key))
        data[len(data) // 3] ^= 0x40
        any_store.put(info.key, bytes(data))

    with pytest.raises(BlobCorruptError):
        restore(any_store, digest, tmp_path / "back")


def test_faults_in_the_middle_are_survived(
    any_backend: Backend, tree: Path, tmp_path: Path
) -> None:
    patient = RetryPolicy(first_delay=0.001, longest_delay=0.01, elapsed=60)
    prefix = f"faults/{tmp_path.name}"
    wanted = snapshot(BlobStore(any_backend, prefix=f"{prefix}/plain"), tree)
    for number, on_call in enumerate(
        (conflict_first(5), fail_first(7), fail_first(3, operation="create"))
    ):
        faulty = FaultyBackend(any_backend, on_call=on_call)
        store = BlobStore(faulty, prefix=f"{prefix}/{number}", retry=patient)
        assert snapshot(store, tree) == wanted
        faulty.on_call = fail_first(7)
        restore(store, wanted.digest, tmp_path / str(number))


def test_lasting_fault_ends_the_transfer(any_backend: Backend, tree: Path, tmp_path: Path) -> None:
    faulty = FaultyBackend(any_backend, on_call=fail_first(10**9, part="segments"))
    store = BlobStore(
        faulty, prefix=tmp_path.name, retry=RetryPolicy(first_delay=0.001, elapsed=0.05)
    )

    with pytest.raises(StorageUnavailableError):
        snapshot(store, tree)
    assert not list(store.list("v1/manifests"))
