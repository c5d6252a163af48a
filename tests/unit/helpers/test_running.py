from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    CancelledError,
    LocalDiskError,
    ManifestError,
    ResultError,
    StorageRefusedError,
    StorageUnavailableError,
    TreeError,
)
from gradient_operator.exits import ExitCode
from gradient_operator.helpers.environment import SettingsError
from gradient_operator.helpers.running import AbortedError, classify, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Give the process its handlers back: a helper's would write to the output of this test."""
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (TreeError("x", reason="SpecialFile"), 65, "SpecialFile"),
        (BlobMissingError("x", reason="VersionMissing"), 66, "VersionMissing"),
        (BlobCorruptError("x"), 67, "BlobCorrupt"),
        (ManifestError("x"), 67, "ManifestInvalid"),
        (ResultError("x"), 67, "ResultInvalid"),
        (AbortedError("x"), 74, "Aborted"),
        (StorageUnavailableError("x"), 75, "StorageUnavailable"),
        (StorageRefusedError("x"), 77, "StorageRefused"),
        (LocalDiskError("x", reason="DiskFull"), 1, "DiskFull"),
        (SettingsError("x"), 1, "SettingsInvalid"),
        (CancelledError("x"), 1, "Cancelled"),
        (ZeroDivisionError("x"), 1, "InternalError"),
    ],
)
def test_failures_have_their_exit_codes(error: Exception, code: int, reason: str) -> None:
    assert classify(error) == (ExitCode(code), reason)


def test_failure_is_told_in_message_and_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIENT_TERMINATION_LOG", str(tmp_path / "message"))

    def task() -> None:
        raise TreeError("'pipe' is a pipe.", reason="SpecialFile")

    assert run(task) == 65
    assert json.loads((tmp_path / "message").read_text()) == {
        "error": "'pipe' is a pipe.",
        "reason": "SpecialFile",
        "v": 1,
    }
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["msg"], line["code"]) == ("error", "'pipe' is a pipe.", 65)


def test_defect_is_told_with_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIENT_TERMINATION_LOG", str(tmp_path / "message"))

    def task() -> None:
        raise ZeroDivisionError("by zero")

    assert run(task) == 1
    assert "ZeroDivisionError" in (tmp_path / "message").read_text()
    assert "Traceback" in json.loads(capsys.readouterr().out)["exception"]


def test_message_that_cannot_be_written_does_not_hide_the_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIENT_TERMINATION_LOG", "/nonexistent/folder/message")

    def task() -> None:
        raise StorageRefusedError("no")

    assert run(task) == 77
