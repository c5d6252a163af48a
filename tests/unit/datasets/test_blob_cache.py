"""A node's cache serves what it has, trusts nothing, keeps to its limit and never fails a job."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.blob_cache import BlobCache
from gradient_operator.datasets.errors import StorageRefusedError
from gradient_operator.datasets.layout import SEGMENT_BYTES
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from tests.unit.datasets.trees import Node, faulty_store, make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend

MIB = 1024 * 1024
TREE: dict[bytes, Node] = {
    b"big.bin": os.urandom(SEGMENT_BYTES + 77),
    b"small/a": b"a" * 3000,
    b"small/b": b"b" * 5000,
}


@pytest.fixture
def made(backend: ObstoreBackend, tmp_path: Path):
    tree = make_tree(tmp_path / "tree", TREE)
    store, seen = faulty_store(backend)
    digest = snapshot(store, tree).digest
    seen.calls.clear()
    return store, seen, digest, tree


def fetched(seen) -> int:
    """Requests for blobs since the last time."""
    count = sum("packs" in key or "segments" in key for _, key in seen.calls)
    seen.calls.clear()
    return count


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if path.is_file()]


def test_second_job_reads_from_disk(made, tmp_path: Path) -> None:
    store, seen, digest, tree = made
    first, second = (BlobCache(tmp_path / "cache", limit=100 * MIB) for _ in range(2))

    restore(store, digest, tmp_path / "one", cache=first)
    assert fetched(seen) == 3
    restore(store, digest, tmp_path / "two", cache=second)

    assert fetched(seen) == 0
    assert read_tree(tmp_path / "two") == read_tree(tree)
    assert (first.counts.hits, first.counts.misses) == (0, 3)
    assert (second.counts.hits, second.counts.misses) == (3, 0)
    assert second.counts.bytes == SEGMENT_BYTES + 77 + 8000


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer"])
def test_damaged_entry_is_fetched_again_and_mended(made, tmp_path: Path, damage: str) -> None:
    store, _, digest, tree = made
    restore(store, digest, tmp_path / "one", cache=BlobCache(tmp_path / "cache", limit=100 * MIB))
    for path in entries(tmp_path / "cache"):
        data = path.read_bytes()
        path.write_bytes(
            {"changed": b"!" + data[1:], "shorter": data[:-1], "longer": data + b"x"}[damage]
        )

    restore(store, digest, tmp_path / "two", cache=BlobCache(tmp_path / "cache", limit=100 * MIB))
    assert read_tree(tmp_path / "two") == read_tree(tree)

    restore(store, digest, tmp_path / "three", cache=BlobCache(tmp_path / "cache", limit=100 * MIB))
    third = BlobCache(tmp_path / "cache", limit=100 * MIB)
    restore(store, digest, tmp_path / "four", cache=third)
    assert third.counts.misses == 0
    assert read_tree(tmp_path / "four") == read_tree(tree)


def test_what_is_cached_is_of_no_use_without_the_bucket(made, tmp_path: Path) -> None:
    """A namespace of the same name, made by somebody else, has no keys that open the bucket."""
    store, seen, digest, _ = made
    cache = BlobCache(tmp_path / "cache", limit=100 * MIB)
    restore(store, digest, tmp_path / "one", cache=cache)

    def refuse(_operation: str, _key: str) -> None:
        raise StorageRefusedError("the keys do not open this bucket")

    seen.on_call = refuse
    with pytest.raises(StorageRefusedError):
        restore(store, digest, tmp_path / "two", cache=cache)
    assert not (tmp_path / "two/big.bin").exists()


def keep(cache: BlobCache, number: int, size: int) -> str:
    digest = f"{number:064x}"
    with cache.keeper(digest) as keeper:
        keeper.write(bytes(size), 0)
        keeper.finish()
    return digest


def test_entries_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, limit=10_000)
    old, used, newer = (keep(cache, number, 3_000) for number in range(3))
    for age, digest in ((300, old), (200, used), (100, newer)):
        os.utime(tmp_path / digest[:2] / digest, (time.time() - age,) * 2)
    assert cache.read(used, (0, 10)) is not None

    new = keep(cache, 9, 3_000)

    left = {path.name for path in entries(tmp_path)}
    assert old not in left
    assert {used, new} <= left
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 10_000


def test_limit_holds_whatever_comes(tmp_path: Path) -> None:
    for number in range(200):
        keep(BlobCache(tmp_path, limit=10_000), number, 100 + 37 * (number % 60))
        assert sum(path.stat().st_size for path in entries(tmp_path)) <= 10_000
    keep(BlobCache(tmp_path, limit=10_000), 999, 50_000)
    assert f"{999:064x}" not in {path.name for path in entries(tmp_path)}


def test_what_is_not_finished_is_not_kept(tmp_path: Path) -> None:
    with BlobCache(tmp_path, limit=10_000).keeper("0" * 64) as keeper:
        keeper.write(b"half", 0)

    assert entries(tmp_path) == []


def test_abandoned_pieces_of_killed_processes_go(tmp_path: Path) -> None:
    (tmp_path / "00").mkdir()
    orphan = tmp_path / "00" / f"{'0' * 64}-1.part"
    orphan.write_bytes(bytes(100))
    os.utime(orphan, (0, 0))

    keep(BlobCache(tmp_path, limit=10_000), 1, 10)

    assert not orphan.exists()


def test_full_disk_ends_the_cache_and_not_the_job(
    made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, _, digest, tree = made
    inside = str(tmp_path / "cache")
    write = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").startswith(inside):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    restore(store, digest, tmp_path / "one", cache=BlobCache(tmp_path / "cache", limit=100 * MIB))

    assert read_tree(tmp_path / "one") == read_tree(tree)
    assert entries(tmp_path / "cache") == []
    assert sum("No space left" in record.message for record in caplog.records) == 1


def test_folder_that_cannot_be_written_ends_the_cache_and_not_the_job(made, tmp_path: Path) -> None:
    store, _, digest, tree = made
    (tmp_path / "cache").write_text("a file")

    restore(store, digest, tmp_path / "one", cache=BlobCache(tmp_path / "cache", limit=100 * MIB))

    assert read_tree(tmp_path / "one") == read_tree(tree)


def test_few_files_of_a_large_pack_do_not_fetch_all_of_it(
    backend: ObstoreBackend, tmp_path: Path
) -> None:
    store, seen = faulty_store(backend)
    tree = make_tree(tmp_path / "t", {b"%03d" % n: os.urandom(100_000) for n in range(60)})
    base = snapshot(store, tree).digest
    for number in range(2, 60):
        (tree / f"{number:03d}").unlink()
    few = snapshot(store, tree, base=[base]).digest
    seen.calls.clear()
    cache = BlobCache(tmp_path / "cache", limit=100 * MIB)

    restore(store, few, tmp_path / "back", cache=cache)

    assert read_tree(tmp_path / "back") == read_tree(tree)
