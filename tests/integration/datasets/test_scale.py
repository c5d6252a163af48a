"""Memory does not grow with the data: peak of whole processes, the interpreter included."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.seaweedfs import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

MIB = 1024 * 1024
LONG_FILE_PEAK = 230 * MIB
"""8 segments of 16 MiB, the copies of those being signed or received, interpreter and libraries."""
MANY_FILES_PEAK = 170 * MIB
MANIFEST_PEAK = 70 * MIB
"""The compressed manifest while it is sent, interpreter and libraries; no entries."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on disk that is gone after the test: pytest would keep the last three."""
    with tempfile.TemporaryDirectory(prefix="scale-", dir="/var/tmp") as name:
        yield Path(name)


def transfer(server: S3Server, folder: Path, **task: object) -> dict[str, float]:
    keys = server.write_credentials(folder / "keys")
    task |= {"location": server.location("scale"), "keys": str(keys)}
    command = [sys.executable, "-m", "tests.integration.datasets.transfer", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, float] = json.loads(done.stdout)
    print(task["do"], {k: v for k, v in report.items() if k != "digest"})
    return report


def test_long_file_in_bounded_memory(seaweedfs: S3Server, folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    expected = hashlib.sha256()
    with (source / "model.bin").open("wb") as file:
        for _ in range(400):
            piece = os.urandom(MIB)
            expected.update(piece)
            file.write(piece)

    up = transfer(seaweedfs, folder, do="snapshot", path=str(source))
    again = transfer(seaweedfs, folder, do="snapshot", path=str(source))
    down = transfer(seaweedfs, folder, do="restore", path=str(folder / "back"), digest=up["digest"])

    with (folder / "back/model.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == expected.digest()
    assert again["digest"] == up["digest"]
    assert max(up["peak"], again["peak"], down["peak"]) < LONG_FILE_PEAK


def test_hundred_thousand_files_in_bounded_memory(seaweedfs: S3Server, folder: Path) -> None:
    source = folder / "source"
    for part in range(100):
        (source / f"{part:03d}").mkdir(parents=True)
        for number in range(1000):
            name = f"{part:03d}/{number:04d}.txt"
            (source / name).write_text(f"{name}\n" * 20)

    up = transfer(seaweedfs, folder, do="snapshot", path=str(source))
    based = transfer(seaweedfs, folder, do="snapshot", path=str(source), base=[up["digest"]])
    down = transfer(seaweedfs, folder, do="restore", path=str(folder / "back"), digest=up["digest"])

    assert (up["files"], based["digest"]) == (100_000, up["digest"])
    assert down["bytes"] == up["bytes"]
    same = ["diff", "-r", "-q", str(source), str(folder / "back")]
    assert subprocess.run(same, check=False).returncode == 0
    assert max(up["peak"], based["peak"], down["peak"]) < MANY_FILES_PEAK


def test_manifest_is_never_held_as_objects(seaweedfs: S3Server, folder: Path) -> None:
    """300,000 entries as Python objects would take more than twice the bound."""
    found = transfer(seaweedfs, folder, do="manifest", entries=300_000)

    assert found["files"] == 300_000
    assert found["peak"] < MANIFEST_PEAK
