from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.entries import FileEntry
from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    LocalDiskError,
    ManifestError,
    StorageUnavailableError,
)
from gradient_operator.datasets.layout import SEGMENT_BYTES
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.restore import LARGEST_GAP, ranges, restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.tree import open_target
from tests.unit.datasets.test_snapshot import TREE
from tests.unit.datasets.trees import fail_first, faulty_store, make_tree, open_below, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.store import BlobStore


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", TREE)


def test_tree_comes_back_byte_for_byte(store: BlobStore, tree: Path, tmp_path: Path) -> None:
    version = snapshot(store, tree)

    assert restore(store, version.digest, tmp_path / "new/back") == version
    assert read_tree(tmp_path / "new/back") == read_tree(tree)


@pytest.mark.parametrize(
    "modes", [(False, 0o755, 0o644, 0o755), (True, 0o777, 0o666, 0o777)], ids=["plain", "writable"]
)
def test_modes_do_not_depend_on_the_umask(
    store: BlobStore, tree: Path, tmp_path: Path, modes: tuple[bool, int, int, int]
) -> None:
    writable, directory, file, executable = modes
    digest = snapshot(store, tree).digest
    back = tmp_path / "back"
    previous = os.umask(0o077)
    try:
        restore(store, digest, back, writable=writable)
    finally:
        os.umask(previous)

    assert mode(back) == mode(back / "train") == mode(back / "void") == directory
    assert mode(back / "empty") == mode(back / "model.bin") == mode(back / "train/a.jpg") == file
    assert mode(back / "run.sh") == executable


def test_modes_do_not_depend_on_what_a_folder_gives_its_files(tmp_path: Path) -> None:
    """One folder gives new files the wanted mode by itself, another one does not."""
    names = ("a", "b", "c/d", "c/e", "h", "f/g")
    back = tmp_path / "back"
    back.mkdir()
    nobody_else = struct.pack("<IHHIHHIHHI", 2, 1, 6, 2**32 - 1, 4, 0, 2**32 - 1, 32, 0, 2**32 - 1)
    try:
        os.setxattr(back, "system.posix_acl_default", nobody_else)
    except OSError:
        pytest.skip("keep temporary files on a file system with POSIX ACLs, as ext4 has them")

    with open_target(back, writable=False, keep=True) as folder:
        folder.make_directory(b"c")
        os.removexattr(back / "c", "system.posix_acl_default")
        for name in names[:5]:
            folder.write_file(name.encode(), memoryview(b"x"), executable=name == "b")
        folder.make_directory(b"f")
        folder.write_file(b"f/g", memoryview(b"x"), executable=False)

    assert {name: mode(back / name) for name in names} == {
        name: 0o755 if name == "b" else 0o644 for name in names
    }


def test_target_must_be_empty(store: BlobStore, tree: Path, tmp_path: Path) -> None:
    digest = snapshot(store, tree).digest
    back = make_tree(tmp_path / "back", {b"mine": b"keep"})

    with pytest.raises(LocalDiskError) as caught:
        restore(store, digest, back)

    assert caught.value.reason == "TargetNotEmpty"
    assert read_tree(back) == {b"mine": b"keep"}


def test_replace_removes_an_earlier_attempt_but_nothing_behind_links(
    store: BlobStore, tree: Path, tmp_path: Path
) -> None:
    digest = snapshot(store, tree).digest
    other = make_tree(tmp_path / "other", {b"mine": b"keep"})
    back = make_tree(
        tmp_path / "back",
        {
            b"run.sh": b"half",
            b"train/x": b"1",
            b"l": ("l", os.fsencode(other)),
            b"lost+found": None,
        },
    )

    restore(store, digest, back, replace=True)

    (back / "lost+found").rmdir()
    assert read_tree(back) == read_tree(tree)
    assert read_tree(other) == {b"mine": b"keep"}


def test_target_that_is_a_link_is_refused(store: BlobStore, tree: Path, tmp_path: Path) -> None:
    digest = snapshot(store, tree).digest
    (tmp_path / "other").mkdir()
    (tmp_path / "back").symlink_to(tmp_path / "other")

    with pytest.raises(LocalDiskError):
        restore(store, digest, tmp_path / "back", replace=True)
    assert read_tree(tmp_path / "other") == {}


def test_folder_never_writes_through_links(tmp_path: Path) -> None:
    other = make_tree(tmp_path / "other", {b"file": b"keep"})
    with open_target(tmp_path / "t", writable=False) as folder:
        folder.make_link(b"d", os.fsencode(other))
        folder.make_link(b"f", os.fsencode(other / "file"))
        for make in (
            lambda: folder.make_file(b"d/new", executable=False),
            lambda: folder.make_file(b"f", executable=False),
            lambda: folder.make_directory(b"d/new"),
            lambda: folder.make_link(b"d/new", b"x"),
        ):
            with pytest.raises(LocalDiskError):
                make()

    assert read_tree(other) == {b"file": b"keep"}


def test_missing_version_and_missing_blob_are_told_apart(
    backend: ObstoreBackend, tree: Path, tmp_path: Path
) -> None:
    store, _ = faulty_store(backend)
    digest = snapshot(store, tree).digest

    with pytest.raises(BlobMissingError) as caught:
        restore(store, "0" * 64, tmp_path / "none")
    assert caught.value.reason == "VersionMissing"

    for part, name in (("packs", "'run.sh'"), ("segments", "'model.bin'")):

        def vanish(_operation: str, key: str, part: str = part) -> None:
            if part in key:
                raise BlobMissingError(f"The object {key} does not exist.")

        broken, _ = faulty_store(backend, on_call=vanish)
        with pytest.raises(BlobMissingError, match=name):
            restore(broken, digest, tmp_path / part)


@pytest.mark.parametrize(
    ("part", "name"),
    [("packs", "'train/a.jpg'"), ("segments", "segments/"), ("manifests", "manifest")],
)
def test_one_changed_bit_is_found_and_named(
    backend: ObstoreBackend, tree: Path, tmp_path: Path, part: str, name: str
) -> None:
    store, _ = faulty_store(backend)
    digest = snapshot(store, tree).digest
    for info in list(store.list(f"v1/{part}")):
        data = bytearray(store.get(info.key))
        data[40] ^= 1
        store.put(info.key, bytes(data))

    with pytest.raises(BlobCorruptError, match=name):
        restore(store, digest, tmp_path / "back")

    assert open_below(tmp_path) == []


@pytest.mark.parametrize("part", ["packs", "segments"])
def test_shortened_blob_is_found(
    backend: ObstoreBackend, tree: Path, tmp_path: Path, part: str
) -> None:
    store, _ = faulty_store(backend)
    digest = snapshot(store, tree).digest
    for info in list(store.list(f"v1/{part}")):
        store.put(info.key, bytes(store.get(info.key))[:-1])

    with pytest.raises((BlobCorruptError, BlobMissingError)):
        restore(store, digest, tmp_path / "back")


def test_damage_on_the_way_is_repaired(backend: ObstoreBackend, tree: Path, tmp_path: Path) -> None:
    store, _ = faulty_store(backend)
    digest = snapshot(store, tree).digest
    damaged: set[str] = set()

    def damage_once(key: str, data: bytes) -> bytes:
        if key in damaged or "v1/FORMAT" in key or "manifests" in key:
            return data
        damaged.add(key)
        return b"?" * len(data)

    bad, _ = faulty_store(backend, corrupt=damage_once)
    restore(bad, digest, tmp_path / "back")

    assert len(damaged) == 2
    assert read_tree(tmp_path / "back") == read_tree(tree)


def test_every_single_failure_is_survived(
    backend: ObstoreBackend, tree: Path, tmp_path: Path
) -> None:
    store, seen = faulty_store(backend)
    version = snapshot(store, tree)
    seen.calls.clear()
    restore(store, version.digest, tmp_path / "first")

    for number in range(len(seen.calls)):
        bad, faulty = faulty_store(backend)

        def on_call(operation: str, key: str, number: int = number, faulty=faulty) -> None:
            if len(faulty.calls) == number + 1:
                raise StorageUnavailableError(f"injected failure {number} in {operation} {key}")

        faulty.on_call = on_call
        assert restore(bad, version.digest, tmp_path / str(number)) == version


def test_lasting_failure_is_an_error(backend: ObstoreBackend, tree: Path, tmp_path: Path) -> None:
    store, _ = faulty_store(backend)
    digest = snapshot(store, tree).digest
    for part in ("manifests", "packs", "segments"):
        bad, _ = faulty_store(backend, on_call=fail_first(10**9, part=part))
        with pytest.raises(StorageUnavailableError):
            restore(bad, digest, tmp_path / part)


def test_full_disk_is_told(
    store: BlobStore, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    digest = snapshot(store, tree).digest
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(LocalDiskError, match="larger disk") as caught:
        restore(store, digest, tmp_path / "back")
    assert caught.value.reason == "DiskFull"


def test_digest_is_checked_before_anything_is_made(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(ManifestError):
        restore(store, "../../etc", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_long_file_is_put_together_from_its_segments(store: BlobStore, tmp_path: Path) -> None:
    data = os.urandom(3 * SEGMENT_BYTES + 17)
    digest = snapshot(store, make_tree(tmp_path / "t", {b"f": data})).digest

    restore(store, digest, tmp_path / "back", concurrency=2)

    assert (tmp_path / "back/f").read_bytes() == data


def test_progress_ends_at_all_files_and_bytes(store: BlobStore, tree: Path, tmp_path: Path) -> None:
    meter = ProgressMeter()
    version = snapshot(store, tree)
    restore(store, version.digest, tmp_path / "back", progress=meter)

    assert (meter.value.files, meter.value.bytes) == (version.files, version.bytes)


def entry(name: bytes, size: int) -> FileEntry:
    return FileEntry(name, size, hashlib.sha256(name).hexdigest(), executable=False)


def test_neighbours_are_fetched_together_and_far_ones_apart() -> None:
    near = [(100, entry(b"b", 50)), (0, entry(b"a", 100))]
    far = [(150 + LARGEST_GAP + 1, entry(b"c", 10))]
    overlapping = [(150 + LARGEST_GAP + 1, entry(b"d", 5))]

    found = list(ranges("p", [*far, *overlapping, *near]))

    assert [(item.start, item.end) for item in found] == [
        (0, 150),
        (150 + LARGEST_GAP + 1, 150 + LARGEST_GAP + 11),
    ]
    assert [item[1].path for item in found[0].files] == [b"a", b"b"]
    assert {item[1].path for item in found[1].files} == {b"c", b"d"}
    assert list(ranges("p", [])) == []
