"""What `s3-download@v1` makes of a task, of odd keys and of a server in trouble."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import (
    LocalDiskError,
    StorageRefusedError,
    StorageUnavailableError,
)
from gradient_operator.helpers.environment import SettingsError
from gradient_operator.helpers.s3_bucket import Source, SourceError
from gradient_operator.helpers.s3_download import Download, download, read_download
from tests.unit.helpers.fake_s3 import FakeS3, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = {"GRADIENT_S3_URL": "s3://b/p/", "GRADIENT_S3_PATH": "/outputs/d"}


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    with serve() as fake:
        yield fake


def copy(
    s3: FakeS3, target: Path, url: str = "s3://b/p/", *, part_bytes: int = 1000, **more: str
) -> dict[str, bytes | None]:
    """Download, and return what is there then: the content of files, None for folders."""
    variables = {
        "GRADIENT_S3_URL": url,
        "GRADIENT_S3_PATH": str(target),
        "GRADIENT_S3_ENDPOINT": s3.endpoint,
    }
    download(read_download(variables | more), part_bytes=part_bytes)
    return tree(target)


def tree(target: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(target)): path.read_bytes() if path.is_file() else None
        for path in target.rglob("*")
    }


@pytest.mark.parametrize(
    ("url", "key", "is_folder"),
    [
        ("s3://b", "", True),
        ("s3://b/", "", True),
        ("s3://b/p/q/", "p/q", True),
        ("s3://b/p/q", "p/q", False),
        (" s3://b/$DAY/${NAME}.csv ", "monday/$NAME.csv", False),
    ],
)
def test_the_url_names_bucket_and_folder_or_object(url, key, is_folder) -> None:
    task = read_download(BASE | {"GRADIENT_S3_URL": url, "DAY": "monday", "OTHER": "x"})
    wanted = key.replace("$NAME", "${NAME}")
    assert (task.source.bucket, task.key, task.is_folder) == ("b", wanted, is_folder)


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        ("", ""),
        ("http://minio:9000/", "http://minio:9000"),
        ("https://$HOST", "https://nyc3.example.com"),
        ("nyc3.example.com", "https://nyc3.example.com"),
    ],
)
def test_the_endpoint_is_a_url_with_tls_unless_it_says_otherwise(
    endpoint: str, wanted: str
) -> None:
    task = read_download(BASE | {"GRADIENT_S3_ENDPOINT": endpoint, "HOST": "nyc3.example.com"})
    assert task.source.endpoint == wanted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"GRADIENT_S3_URL": ""}, "write s3://bucket/folder/"),
        ({"GRADIENT_S3_URL": "https://b/p"}, "write s3://bucket/folder/"),
        ({"GRADIENT_S3_URL": "s3:///p"}, "write s3://bucket/folder/"),
        ({"GRADIENT_S3_URL": "s3://b b/p"}, "write s3://bucket/folder/"),
        ({"GRADIENT_S3_ENDPOINT": "http://a b"}, "no URL"),
        ({"GRADIENT_S3_URL": "s3://b/a/../c"}, "empty or dotted part"),
        ({"GRADIENT_S3_URL": "s3://b/a//c"}, "empty or dotted part"),
        ({"GRADIENT_S3_PATH": "d"}, "absolute path"),
        ({"GRADIENT_S3_ENDPOINT": "ftp://h"}, "no URL"),
        ({"GRADIENT_S3_ENDPOINT": "https://key:secret@h"}, "holds keys"),
        ({"GRADIENT_S3_ACCESS_KEY": "k"}, "secret-access-key is empty"),
        ({"GRADIENT_S3_SECRET_KEY": "s"}, "access-key is empty"),
    ],
)
def test_an_unusable_task_is_refused(change: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        read_download(BASE | change)
    assert "secret@" not in str(caught.value)


def test_keys_of_the_job_win_over_those_that_the_environment_has_for_aws() -> None:
    ambient = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    own = {"GRADIENT_S3_ACCESS_KEY": "k", "GRADIENT_S3_SECRET_KEY": "s\n"}
    source = read_download(BASE | ambient | own).source
    assert (source.access_key, source.secret_key, source.session_token) == ("k", "s", "")
    source = read_download(BASE | ambient).source
    assert (source.access_key, source.secret_key, source.session_token) == ("a", "b", "c")
    assert "'s'" not in repr(read_download(BASE | own))


def test_what_lies_below_the_folder_is_copied(s3: FakeS3, tmp_path: Path, capsys) -> None:
    large = os.urandom(2_500)
    s3.objects = {
        "p/": b"",
        "p/a": b"1",
        "p/sub/ü b": b"2",
        "p/sub/%2e%2e": b"3",
        "p/large": large,
        "p/zero": b"",
        "p/marker/": b"",
        "p2/other": b"no",
        "pa": b"no",
    }
    target = tmp_path / "outputs/d"
    assert copy(s3, target) == {
        "a": b"1",
        "sub": None,
        "sub/ü b": b"2",
        "sub/%2e%2e": b"3",
        "large": large,
        "zero": b"",
        "marker": None,
    }
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"Downloading s3://b/p/ to '{target}'..."
    assert said[-1] == "Downloaded 5 files, 2.4 KiB"
    ranges = [seen[2]["range"] for seen in s3.seen if "range" in seen[2]]
    assert sorted(ranges) == ["bytes=0-999", "bytes=1000-1999", "bytes=2000-2499"]


def test_files_may_be_changed_by_all_users(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/sub/a": b"1"}
    copy(s3, tmp_path / "d")
    assert (tmp_path / "d/sub").stat().st_mode & 0o777 == 0o777
    assert (tmp_path / "d/sub/a").stat().st_mode & 0o777 == 0o666


def test_a_whole_bucket_is_copied(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"a": b"1", "p/b": b"2"}
    assert copy(s3, tmp_path / "d", "s3://b") == {"a": b"1", "p": None, "p/b": b"2"}


def test_one_object_is_copied_and_a_folder_of_its_name_is_not(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/q": b"1", "p/q/r": b"2", "p/q2": b"3"}
    assert copy(s3, tmp_path / "object", "s3://b/p/q") == {"q": b"1"}
    assert copy(s3, tmp_path / "folder", "s3://b/p/q/") == {"r": b"2"}
    assert copy(s3, tmp_path / "top", "s3://b/p/q/r") == {"r": b"2"}


def test_without_a_slash_a_folder_is_found_too(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/q/r": b"2"}
    assert copy(s3, tmp_path / "d", "s3://b/p/q") == {"r": b"2"}


@pytest.mark.parametrize("url", ["s3://b/none/", "s3://b/none", "s3://b/p/"])
def test_nothing_to_copy_is_a_failure(s3: FakeS3, tmp_path: Path, url: str) -> None:
    s3.objects = {"p/": b"", "pa": b"1"}
    with pytest.raises(SourceError, match="There is nothing at") as caught:
        copy(s3, tmp_path / "d", url)
    assert caught.value.reason == "S3Empty"


@pytest.mark.parametrize("key", ["p/../../etc/x", "p/./x", "p//x", "p/\x01x", "p/" + "n" * 256])
def test_a_key_that_is_no_path_is_refused_and_nothing_is_written_outside(
    s3: FakeS3, tmp_path: Path, key: str
) -> None:
    s3.objects = {key: b"evil"}
    with pytest.raises(SourceError) as caught:
        copy(s3, tmp_path / "outer/d")
    assert caught.value.reason == "S3KeyUnusable"
    assert "Rename" in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("objects", [{"p/a": b"1", "p/a/b": b"2"}, {"p/a/b": b"2", "p/a": b"1"}])
def test_an_object_and_a_folder_of_one_name_are_refused(
    s3: FakeS3, tmp_path: Path, objects: dict[str, bytes]
) -> None:
    s3.objects = objects
    with pytest.raises(LocalDiskError, match="both want to be") as caught:
        copy(s3, tmp_path / "d")
    assert caught.value.reason == "S3NamesCollide"


def test_a_link_or_pipe_in_the_way_is_not_followed(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/a/b": b"1", "q/a": b"2"}
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").symlink_to(tmp_path)
    for url in ("s3://b/p/", "s3://b/q/"):
        with pytest.raises(LocalDiskError):
            copy(s3, tmp_path / "d", url)
    (tmp_path / "d/a").unlink()
    os.mkfifo(tmp_path / "d/a")
    with pytest.raises(LocalDiskError):
        copy(s3, tmp_path / "d", "s3://b/q/")
    assert not (tmp_path / "b").exists()


def test_a_second_attempt_goes_over_what_the_first_left(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/a": b"new"}
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("older and longer")
    (tmp_path / "d/other").write_text("stays")
    assert copy(s3, tmp_path / "d") == {"a": b"new", "other": b"stays"}


@pytest.mark.parametrize("part_bytes", [1000, 10])
def test_trouble_is_waited_out(s3: FakeS3, tmp_path: Path, part_bytes: int) -> None:
    s3.objects = {"p/a": b"0123456789" * 5}
    s3.trouble = [(503, "SlowDown"), (500, "InternalError")]
    s3.cut = {"p/a"}
    assert copy(s3, tmp_path / "d", part_bytes=part_bytes) == {"a": b"0123456789" * 5}


def test_an_object_that_changes_meanwhile_is_refused(s3: FakeS3, tmp_path: Path) -> None:
    s3.objects = {"p/a": b"x" * 50}
    original = s3.etag

    class Changing(dict):
        def __getitem__(self, key):
            s3.etag = '"two"' if len(s3.seen) > 2 else original
            return super().__getitem__(key)

    s3.objects = Changing(s3.objects)
    with pytest.raises(SourceError) as caught:
        copy(s3, tmp_path / "d", part_bytes=10)
    assert caught.value.reason == "S3Changed"


@pytest.mark.parametrize(
    ("status", "code", "keys", "says"),
    [
        (404, "NoSuchBucket", True, "there is no such bucket: correct url or endpoint"),
        (403, "InvalidAccessKeyId", True, "correct access-key"),
        (403, "SignatureDoesNotMatch", True, "correct secret-access-key"),
        (403, "AccessDenied", True, "these keys may not list or read it"),
        (403, "AccessDenied", False, "it is not public: set access-key"),
        (400, "AuthorizationHeaderMalformed", True, "set region"),
        (301, "PermanentRedirect", True, "set region"),
        (400, "InvalidArgument", True, "Correct endpoint and region"),
    ],
)
def test_a_refusal_names_what_to_change(s3, tmp_path, *, status, code, keys, says) -> None:
    s3.trouble = [(status, code)] * 4
    given = {"GRADIENT_S3_ACCESS_KEY": "key", "GRADIENT_S3_SECRET_KEY": "s3cr3t"} if keys else {}
    with pytest.raises(StorageRefusedError, match=says) as caught:
        copy(s3, tmp_path / "d", **given)
    assert "bucket 'b' at http://127.0.0.1" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_keys_sign_the_requests_and_without_them_nothing_is_sent(
    s3: FakeS3, tmp_path: Path
) -> None:
    s3.objects = {"p/a": b"1"}
    copy(s3, tmp_path / "public")
    assert not any("authorization" in seen[2] for seen in s3.seen)
    s3.seen.clear()
    given = {"GRADIENT_S3_ACCESS_KEY": "key", "GRADIENT_S3_SECRET_KEY": "s3cr3t"}
    copy(s3, tmp_path / "private", GRADIENT_S3_REGION="eu-west-9", **given)
    assert all("/eu-west-9/s3/" in seen[2]["authorization"] for seen in s3.seen)


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIENT_RETRY_SECONDS", "0.1")
    task = Download(
        source=Source(bucket="b", endpoint="http://127.0.0.1:9"),
        key="p",
        is_folder=True,
        path=str(tmp_path / "d"),
    )
    with pytest.raises(
        StorageUnavailableError, match=r"http://127\.0\.0\.1:9 did not answer"
    ) as error:
        download(task)
    assert error.value.reason == "S3Unreachable"
