from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import LocalDiskError, TreeError
from gradient_operator.helpers.upload import Deadline, prepare_directory, read_string

if TYPE_CHECKING:
    from pathlib import Path


def test_directory_is_made_writable_for_all_whatever_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        prepare_directory(str(tmp_path / "outputs/model"))
    finally:
        os.umask(previous)

    assert (tmp_path / "outputs/model").stat().st_mode & 0o777 == 0o777


def test_existing_directory_is_opened_to_all_and_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir(mode=0o700)
    (tmp_path / "model/x").write_text("1")

    prepare_directory(str(tmp_path / "model"))

    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o777
    assert (tmp_path / "model/x").read_text() == "1"


def test_link_in_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir(mode=0o700)
    (tmp_path / "model").symlink_to(tmp_path / "secret")

    prepare_directory(str(tmp_path / "model"))

    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o700


def test_file_in_place_of_a_directory_is_left_for_the_upload_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    prepare_directory(str(tmp_path / "model"))
    assert (tmp_path / "model").read_text() == "x"


def test_directory_that_cannot_be_made_is_an_error() -> None:
    with pytest.raises(LocalDiskError, match="/proc/none"):
        prepare_directory("/proc/none")


def test_string_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes("0.93\n ä".encode())

    assert read_string(str(tmp_path / "s")) == "0.93\n ä"


def test_string_that_was_not_written_is_none(tmp_path: Path) -> None:
    assert read_string(str(tmp_path / "s")) is None


def test_string_may_have_64_kib_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"x" * 65536)
    assert len(read_string(str(tmp_path / "s")) or "") == 65536
    (tmp_path / "s").write_bytes(b"x" * 65537)
    with pytest.raises(TreeError, match="64 KiB"):
        read_string(str(tmp_path / "s"))


def test_string_must_be_text_in_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "dangling").symlink_to("/none")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("binary", "link", "dangling", "folder", "pipe"):
        with pytest.raises(TreeError, match=name) as caught:
            read_string(str(tmp_path / name))
        assert caught.value.reason == "StringUnacceptable"


@pytest.mark.parametrize(("grace", "margin"), [(3600, 30), (120, 30), (40, 10), (2, 0.5)])
def test_deadline_leaves_time_to_tell(grace: float, margin: float) -> None:
    before = time.monotonic()
    deadline = Deadline(grace)
    after = time.monotonic()

    assert before + grace - margin <= deadline.retry_until <= after + grace - margin
    assert deadline.retry_until < deadline.give_up < after + grace
