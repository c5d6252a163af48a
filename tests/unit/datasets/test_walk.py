from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import walk as module
from gradient_operator.datasets.entries import DirectoryEntry, LinkEntry
from gradient_operator.datasets.errors import LocalDiskError, TreeError
from gradient_operator.datasets.walk import OpenFile, walk
from tests.unit.datasets.trees import make_tree, open_below

if TYPE_CHECKING:
    from pathlib import Path


def paths(root: Path) -> list[bytes]:
    found = []
    for item in walk(root):
        found.append(item.path)
        if isinstance(item, OpenFile):
            os.close(item.fd)
    return found


def test_order_is_that_of_raw_paths(tmp_path: Path) -> None:
    names = [b"a", b"a/x", b"a/x/y", b"a/z", b"a-b", b"a.b", b"a0", b"b", b"\xff", b"B", b"a b"]
    tree = make_tree(
        tmp_path / "t",
        {b"a/x/y": b"1", b"a/z": b"2", b"a-b": None, b"a.b": b"", b"a0": b"", b"b": b""}
        | {b"\xff": b"", b"B": b"", b"a b": b""},
    )

    assert paths(tree) == sorted(names)


def test_links_are_data_and_never_followed(tmp_path: Path) -> None:
    secret = make_tree(tmp_path / "secret", {b"key": b"hidden"})
    tree = make_tree(
        tmp_path / "t",
        {b"folder": ("l", os.fsencode(secret)), b"file": ("l", b"/etc/passwd"), b"x": ("l", b"..")},
    )

    assert list(walk(tree)) == [
        LinkEntry(b"file", b"/etc/passwd"),
        LinkEntry(b"folder", os.fsencode(secret)),
        LinkEntry(b"x", b".."),
    ]


def test_root_that_became_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").symlink_to(make_tree(tmp_path / "secret", {b"key": b"hidden"}))

    with pytest.raises(TreeError) as caught:
        list(walk(tmp_path / "t"))
    assert caught.value.reason == "OutputNotDirectory"


def test_root_that_became_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x")

    with pytest.raises(TreeError) as caught:
        list(walk(tmp_path / "t"))
    assert caught.value.reason == "OutputNotDirectory"


def test_missing_root_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk(tmp_path / "none"))


def test_pipe_and_socket_are_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(make_tree(tmp_path / "a", {b"d": None}) / "d" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(make_tree(tmp_path / "b", {}) / "sock"))
        for folder, name in (("a", "'d/pipe'"), ("b", "'sock'")):
            with pytest.raises(TreeError, match=name) as caught:
                paths(tmp_path / folder)
            assert caught.value.reason == "SpecialFile"


def test_file_swapped_for_a_link_or_pipe_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "t", {b"link": ("l", b"/etc/passwd")})
    os.mkfifo(tree / "pipe")
    monkeypatch.setattr(module, "_kind", lambda _item, _path: b"f")

    with pytest.raises(TreeError) as caught:
        paths(tree)
    assert caught.value.reason == "OutputChanged"

    (tree / "link").unlink()
    with pytest.raises(TreeError) as caught:
        paths(tree)
    assert caught.value.reason == "SpecialFile"


def test_file_that_changes_is_noticed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"f": b"one"})
    (found,) = walk(tree)
    assert isinstance(found, OpenFile)
    found.check_unchanged()
    with (tree / "f").open("ab") as file:
        file.write(b"more")

    with pytest.raises(TreeError, match="'f'") as caught:
        found.check_unchanged()
    os.close(found.fd)
    assert caught.value.reason == "OutputChanged"


def test_too_deep_tree_is_refused(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"/".join([b"d"] * 300): None})

    with pytest.raises(TreeError, match="folders deep") as caught:
        paths(tree)
    assert caught.value.reason == "PathUnacceptable"


def test_empty_folder_of_mkfs_is_not_part_of_the_tree(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"lost+found": None, b"d/lost+found": None})
    (tree / "lost+found").chmod(0o700)
    if os.geteuid() != 0:
        pytest.skip("only the administrator's folder is recognised")

    assert paths(tree) == [b"d", b"d/lost+found"]
    (tree / "lost+found").chmod(0o755)
    assert b"lost+found" in paths(tree)


def test_walk_leaves_no_descriptor_open(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {b"a/b/c": b"1", b"d": None, b"e": b"2"})

    paths(tree)
    walker = walk(tree)
    assert next(walker) == DirectoryEntry(b"a")
    walker.close()  # type: ignore[attr-defined]

    assert open_below(tree) == []


def test_disk_trouble_is_told_from_bad_trees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "t", {b"f": b"1"})
    original = os.open
    for number, kind, reason in (
        (5, LocalDiskError, "LocalDisk"),
        (13, TreeError, "OutputUnreadable"),
        (2, TreeError, "OutputChanged"),
    ):

        def fail(path: object, *args: object, number: int = number, **more: object) -> int:
            if path == b"f":
                raise OSError(number, "injected")
            return original(path, *args, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(kind) as caught:
            paths(tree)
        assert caught.value.reason == reason
