from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradient_operator.helpers import environment
from gradient_operator.helpers.environment import (
    FetchItem,
    SettingsError,
    UploadDirectory,
    UploadString,
    fetch_items,
    upload_task,
)

DIGEST = "ab" * 32


def test_cache_of_the_node_is_off_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIENT_BLOB_CACHE", raising=False)
    assert environment.blob_cache() is None
    monkeypatch.setenv("GRADIENT_BLOB_CACHE", '{"path": "/cache", "bytes": 5}')
    assert environment.blob_cache() == (Path("/cache"), 5)


@pytest.mark.parametrize("text", ["x", "[]", "{}", '{"path": "/c", "bytes": 0}', '{"bytes": 5}'])
def test_cache_that_cannot_be_understood_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GRADIENT_BLOB_CACHE", text)
    with pytest.raises(SettingsError):
        environment.blob_cache()


def test_fetch_items_are_versions_strings_and_empty_directories() -> None:
    found = fetch_items(
        json.dumps(
            [
                {"path": "/f/a", "digest": DIGEST, "writable": True, "bytes": 7},
                {"path": "/f/b", "digest": DIGEST},
                {"path": "/f/c", "string": {"ref": "runs/u/result.json", "name": "acc"}},
                {"path": "/f/d", "empty": True},
            ]
        )
    )

    assert found == [
        FetchItem(path="/f/a", digest=DIGEST, writable=True, total=7),
        FetchItem(path="/f/b", digest=DIGEST),
        FetchItem(path="/f/c", reference="runs/u/result.json", string="acc"),
        FetchItem(path="/f/d"),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        "x",
        "{}",
        "[3]",
        "[{}]",
        '[{"path": "relative", "empty": true}]',
        '[{"path": "/f"}]',
        '[{"path": "/f", "digest": "abc"}]',
        '[{"path": "/f", "string": {"ref": "r"}}]',
        '[{"path": "/f", "string": "r"}]',
    ],
)
def test_fetch_task_that_cannot_be_understood_is_refused(raw: str) -> None:
    with pytest.raises(SettingsError):
        fetch_items(raw)


def test_upload_task_lists_directories_and_strings() -> None:
    found = upload_task(
        json.dumps(
            {
                "directories": [{"name": "m", "path": "/o/m", "base": [DIGEST]}],
                "strings": [{"name": "s", "path": "/o/s"}],
            }
        )
    )

    assert found.directories == (UploadDirectory(name="m", path="/o/m", base=(DIGEST,)),)
    assert found.strings == (UploadString(name="s", path="/o/s"),)
    assert upload_task("{}").directories == ()


@pytest.mark.parametrize(
    "raw",
    [
        "x",
        "[]",
        '{"directories": 3}',
        '{"directories": [{"path": "/o"}]}',
        '{"directories": [{"name": "a", "path": "o"}]}',
        '{"directories": [{"name": "a", "path": "/o", "base": ["x"]}]}',
        '{"strings": [null]}',
    ],
)
def test_upload_task_that_cannot_be_understood_is_refused(raw: str) -> None:
    with pytest.raises(SettingsError):
        upload_task(raw)


def test_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_UID", raising=False)
    with pytest.raises(SettingsError, match="POD_UID"):
        environment.required("POD_UID")


@pytest.mark.parametrize("text", ["abc", "-1", "0", "nan", "inf"])
def test_number_must_be_positive(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("N", text)
    with pytest.raises(SettingsError, match="N="):
        environment.number("N", 1.0)


def test_number_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("N", raising=False)
    assert environment.number("N", 3.5) == 3.5
    monkeypatch.setenv("N", "2")
    assert environment.number("N", 3.5) == 2.0
