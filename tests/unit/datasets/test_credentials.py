from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.credentials import environment_credentials, read_credentials
from gradient_operator.datasets.errors import StorageRefusedError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_credentials_are_read_from_files_without_their_line_ends(tmp_path: Path) -> None:
    found = read_credentials(
        write(tmp_path, accessKeyId="id\n", secretAccessKey=" key \n", sessionToken="t")
    )

    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("id", "key", "t")


def test_credentials_do_not_show_their_secrets(tmp_path: Path) -> None:
    found = read_credentials(write(tmp_path, accessKeyId="id", secretAccessKey="hidden-key"))

    assert "hidden-key" not in repr(found)


@pytest.mark.parametrize("present", ["accessKeyId", "secretAccessKey", None])
def test_missing_credentials_are_named(tmp_path: Path, present: str | None) -> None:
    if present:
        write(tmp_path, **{present: "x"})
    missing = {"accessKeyId", "secretAccessKey"} - {present}

    with pytest.raises(StorageRefusedError) as caught:
        read_credentials(tmp_path)

    assert caught.value.reason == "CredentialsMissing"
    assert all(name in str(caught.value) for name in missing)


def test_workload_identity_needs_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")

    found = read_credentials(tmp_path)

    assert found.access_key_id is None
    assert found.identity is not None
    assert found.identity.role == "arn:aws:iam::1:role/x"


def test_keys_in_files_come_before_an_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/x")

    found = read_credentials(write(tmp_path, accessKeyId="id", secretAccessKey="key"))

    assert (found.access_key_id, found.identity) == ("id", None)


def test_keys_of_a_person_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert environment_credentials() is None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    found = environment_credentials()
    assert found is not None
    assert (found.access_key_id, found.secret_access_key) == ("id", "key")


def test_half_of_the_keys_is_an_error_even_with_workload_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")

    with pytest.raises(StorageRefusedError):
        read_credentials(write(tmp_path, accessKeyId="id"))


@pytest.mark.parametrize("content", [b"\xff", b"x" * 70_000])
def test_unreadable_credentials_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "accessKeyId").write_bytes(content)

    with pytest.raises(StorageRefusedError) as caught:
        read_credentials(tmp_path)

    assert caught.value.reason == "CredentialsUnreadable"
