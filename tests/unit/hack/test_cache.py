"""Keys follow content, and what is made appears at once or not at all."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from hack import cache

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = {"go.mod": "module x", "main.go": b"package main", "go": "go1.26"}


def test_content_key_is_the_same_for_the_same_content_in_any_order():
    again = {name: INPUTS[name] for name in reversed(INPUTS)}
    assert cache.content_key(INPUTS) == cache.content_key(again)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_content_key_changes_with_every_input(name: str):
    assert cache.content_key(INPUTS) != cache.content_key({**INPUTS, name: "other"})


def test_content_key_changes_with_the_name_of_an_input():
    renamed = {("go.sum" if name == "go.mod" else name): INPUTS[name] for name in INPUTS}
    assert cache.content_key(INPUTS) != cache.content_key(renamed)


def test_content_key_tells_apart_where_one_input_ends():
    assert cache.content_key({"a": "bc", "d": ""}) != cache.content_key({"a": "b", "d": "c"})
    assert cache.content_key({"ab": "c"}) != cache.content_key({"a": "bc"})


def test_cache_folder_is_where_the_environment_says(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder("binaries") == tmp_path / "gradient-operator" / "binaries"
    assert (tmp_path / "gradient-operator" / "binaries").is_dir()


def test_write_atomically_replaces_content_and_mode_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "new" / "file"
    cache.write_atomically(path, "one")
    cache.write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_write_atomically_keeps_the_old_content_when_it_fails(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError):
        cache.write_atomically(path, 1)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_exclusive_lets_in_one_at_a_time_also_when_the_lock_file_is_deleted(tmp_path: Path):
    lock = tmp_path / "gone" / "lock"
    inside: list[str] = []

    def second() -> None:
        with cache.exclusive(lock):
            inside.append("second")

    with cache.exclusive(lock):
        waiting = threading.Thread(target=second)
        waiting.start()
        inside.append("first")
        # As `down` does: whoever waits on the deleted file must not take that for the lock.
        lock.unlink()
        with suppress(OSError):  # the other has made a new one by then, or has not
            lock.parent.rmdir()
    waiting.join(timeout=10)
    assert inside == ["first", "second"]
    assert lock.exists()
