from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import snapshot as module
from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.errors import (
    CancelledError,
    LocalDiskError,
    StorageUnavailableError,
    TreeError,
)
from gradient_operator.datasets.layout import (
    PACK_FILES,
    SEGMENT_BYTES,
    SMALL_FILE_BYTES,
    manifest_key,
    pack_key,
)
from gradient_operator.datasets.manifest import ManifestReader, Version
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import (
    FaultyBackend,
    Node,
    fail_first,
    faulty_store,
    make_tree,
    open_below,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore
    from gradient_operator.datasets.walk import OpenFile

TREE: dict[bytes, Node] = {
    b"train/a.jpg": b"a" * 1000,
    b"train/b.jpg": b"b" * 2000,
    b"run.sh": ("x", b"#!/bin/sh"),
    b"model.bin": bytes(range(256)) * 5000,
    b"empty": b"",
    b"void": None,
    b"latest": ("l", b"train"),
}
EMPTY_ID = "da6a998ed468974047fc784eab32b5986dbb2ab40a76f288d1d433c873cc8f85"


def blobs(store: BlobStore, kind: str) -> list[int]:
    return [info.size for info in store.list(f"v1/{kind}")]


def test_version_tells_files_and_bytes(store: BlobStore, tmp_path: Path) -> None:
    version = snapshot(store, make_tree(tmp_path / "t", TREE))

    assert (version.files, version.bytes) == (5, 1000 + 2000 + 9 + 1_280_000)
    assert store.size(manifest_key(version.digest))


def test_small_files_share_packs_and_long_ones_do_not(store: BlobStore, tmp_path: Path) -> None:
    snapshot(store, make_tree(tmp_path / "t", TREE))

    assert blobs(store, "packs") == [3009]
    assert blobs(store, "segments") == [1_280_000]


@pytest.mark.parametrize(
    ("size", "segments", "packs"),
    [
        (0, [], []),
        (1, [], [1]),
        (SMALL_FILE_BYTES - 1, [], [SMALL_FILE_BYTES - 1]),
        (SMALL_FILE_BYTES, [SMALL_FILE_BYTES], []),
        (SEGMENT_BYTES, [SEGMENT_BYTES], []),
        (SEGMENT_BYTES + 1, [1, SEGMENT_BYTES], []),
    ],
)
def test_sizes_around_the_limits(
    store: BlobStore, tmp_path: Path, size: int, segments: list[int], packs: list[int]
) -> None:
    data = os.urandom(size)
    version = snapshot(store, make_tree(tmp_path / "t", {b"f": data}))

    assert sorted(blobs(store, "segments")) == segments
    assert blobs(store, "packs") == packs
    restore(store, version.digest, tmp_path / "back")
    assert (tmp_path / "back" / "f").read_bytes() == data


def test_id_depends_on_content_alone(store: BlobStore, tmp_path: Path) -> None:
    one = make_tree(tmp_path / "one", TREE)
    two = make_tree(tmp_path / "two", dict(reversed(TREE.items())))
    os.utime(two / "run.sh", (1, 1))
    (two / "empty").chmod(0o600)

    assert snapshot(store, one) == snapshot(store, two, concurrency=1)


@pytest.mark.parametrize(
    "change",
    [
        {b"train/a.jpg": b"A" * 1000},
        {b"run.sh": b"#!/bin/sh"},
        {b"more": None},
        {b"latest": ("l", b"void")},
        {b"empty": b"x"},
    ],
)
def test_id_changes_with_any_content(
    store: BlobStore, tmp_path: Path, change: dict[bytes, Node]
) -> None:
    first = snapshot(store, make_tree(tmp_path / "one", TREE))

    assert snapshot(store, make_tree(tmp_path / "two", TREE | change)).digest != first.digest


def test_id_of_the_empty_version_is_fixed(store: BlobStore, tmp_path: Path) -> None:
    """The id must never change: it stands in users' clusters."""
    (tmp_path / "void").mkdir()

    version = snapshot(store, tmp_path / "void")

    assert version == Version(digest=EMPTY_ID, bytes=0, files=0)
    assert snapshot(store, tmp_path / "none", missing_ok=True) == version


def test_id_of_a_known_tree_is_fixed(store: BlobStore, tmp_path: Path) -> None:
    """The format must never change by accident: equal files have had this id for ever."""
    version = snapshot(store, make_tree(tmp_path / "t", TREE | {b"odd\xff\n": b"1"}))

    assert version.digest == "c2f4b17398691e8aae21cc2428b61cc98fcd8e88d7704db0c9af5bbc28ac2d20"


def test_missing_directory_is_an_error_unless_allowed(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        snapshot(store, tmp_path / "none")


def test_same_tree_again_sends_no_large_blob(backend: ObstoreBackend, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"big": os.urandom(SMALL_FILE_BYTES)})
    store, seen = faulty_store(backend)
    snapshot(store, tree)
    seen.calls.clear()

    snapshot(store, tree)

    assert seen.count("create") == 0


def test_small_files_of_base_versions_are_not_sent_again(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    store, seen = faulty_store(backend)
    tree = make_tree(tmp_path / "t", {b"d/%03d" % n: b"%d" % n * 50 for n in range(300)})
    first = snapshot(store, tree)
    seen.calls.clear()
    make_tree(tree, {b"d/100": b"changed", b"moved/007": b"7" * 50})

    second = snapshot(store, tree, base=[first.digest])

    assert [info.size for info in store.list("v1/packs") if info.size == 7] == [7]
    assert seen.count("create", "packs") == 1
    assert seen.count("size", "packs") == 1 + 2  # before it is relied on, and both at the end
    assert second.digest == snapshot(store, tree).digest
    restore(store, second.digest, tmp_path / "back")
    assert (tmp_path / "back/d/100").read_bytes() == b"changed"
    assert (tmp_path / "back/moved/007").read_bytes() == b"7" * 50


def test_base_whose_pack_is_gone_is_not_relied_on(backend: ObstoreBackend, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"a": b"data"})
    store, _ = faulty_store(backend)
    first = snapshot(store, tree)
    with ManifestReader.fetch(store, first.digest) as manifest:
        ((_, place),) = manifest.located()
    store.put(pack_key(place.pack), b"")  # type: ignore[union-attr]

    snapshot(store, tree, base=[first.digest])

    restore(store, first.digest, tmp_path / "back")


def test_base_that_cannot_be_read_is_passed_over(store: BlobStore, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", TREE)
    store.put(manifest_key("0" * 64), b"junk")

    version = snapshot(store, tree, base=["1" * 64, "0" * 64])

    assert version == snapshot(store, tree)


def test_manifest_comes_after_all_blobs(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, seen = faulty_store(backend)
    snapshot(store, make_tree(tmp_path / "t", TREE))

    writes = [key for operation, key in seen.calls if operation in {"create", "put"}]

    assert "manifests" in writes[-1]
    assert writes[0] == "v1/FORMAT"


def test_nothing_becomes_visible_when_a_blob_fails(backend: ObstoreBackend, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", TREE)
    for part in ("packs", "segments"):
        store, seen = faulty_store(backend, on_call=fail_first(10**9, part=part))
        with pytest.raises(StorageUnavailableError):
            snapshot(store, tree)
        assert seen.count("put", "manifests") == 0


def test_every_single_failure_is_survived(backend: ObstoreBackend, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", TREE)
    store, seen = faulty_store(backend)
    wanted = snapshot(store, tree)
    calls = len(seen.calls)

    for number in range(calls):
        fresh, faulty = faulty_store(ObstoreBackend(_memory(), "memory"))
        faulty.on_call = _fail_call(number, faulty)
        assert snapshot(fresh, tree) == wanted
        restore(fresh, wanted.digest, tmp_path / str(number))


def _memory() -> object:
    from obstore.store import MemoryStore

    return MemoryStore()


def _fail_call(number: int, faulty: FaultyBackend):
    def on_call(operation: str, key: str) -> None:
        if len(faulty.calls) == number + 1:
            raise StorageUnavailableError(f"injected failure {number} in {operation} {key}")

    return on_call


@pytest.mark.parametrize("size", [10, SEGMENT_BYTES + 10])
@pytest.mark.parametrize("factor", [0, 2])
def test_file_that_changes_while_it_is_read_is_refused(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, factor: int
) -> None:
    tree = make_tree(tmp_path / "t", {b"f": bytes(size)})
    original = module._read
    done = []

    def read(file: OpenFile, *, start: int, size: int) -> bytes:
        if not done:
            done.append(1)
            (tree / "f").write_bytes(bytes(factor * size))
        return original(file, start=start, size=size)

    monkeypatch.setattr(module, "_read", read)

    with pytest.raises(TreeError) as caught:
        snapshot(store, tree)

    assert caught.value.reason == "OutputChanged"
    assert open_below(tree) == []


def test_read_error_is_told(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    tree = make_tree(tmp_path / "t", {b"f": b"1"})
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(LocalDiskError, match="'f' failed: Input/output error"):
        snapshot(store, tree)


def test_cancelled_snapshot_stops(backend: ObstoreBackend, tmp_path: Path) -> None:
    store, seen = faulty_store(backend)
    tree = make_tree(tmp_path / "t", TREE)

    def cancel(operation: str, key: str) -> None:
        if "segments" in key:
            store.cancellation.cancel()

    seen.on_call = cancel
    with pytest.raises(CancelledError):
        snapshot(store, tree)
    assert seen.count("put", "manifests") == 0


def test_packs_are_closed_by_number_of_files(store: BlobStore, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"%05d" % n: b"1" for n in range(PACK_FILES + 5)})

    version = snapshot(store, tree)

    assert sorted(blobs(store, "packs")) == [5, PACK_FILES]
    assert version.files == PACK_FILES + 5


def test_progress_ends_at_all_files_and_bytes(store: BlobStore, tmp_path: Path) -> None:
    meter = ProgressMeter()
    version = snapshot(store, make_tree(tmp_path / "t", TREE), progress=meter)

    assert (meter.value.files, meter.value.bytes) == (version.files, version.bytes)
