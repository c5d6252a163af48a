"""`s3-download@v1` against a real S3 server: content, keys, refusals, and nothing leaked."""

from __future__ import annotations

import json
import os
import random
import subprocess
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import S3Store

from gradient_operator.exits import ExitCode
from tests.integration.helpers.processes import COMMAND, LONGEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server

SECRET = "test-secret-key"


@pytest.fixture
def store(seaweedfs: S3Server) -> S3Store:
    return S3Store(
        "team-data",
        endpoint=seaweedfs.endpoint,
        region="us-east-1",
        access_key_id=seaweedfs.access_key,
        secret_access_key=seaweedfs.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def run(
    server: S3Server, root: Path, url: str, **variables: str
) -> tuple[int, str, dict[str, str]]:
    """Run the helper; returns exit code, log and termination message."""
    message = root / "message"
    message.write_text("{}")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | {
        "GRADIENT_S3_URL": url,
        "GRADIENT_S3_PATH": str(root / "outputs/d"),
        "GRADIENT_S3_ENDPOINT": server.endpoint,
        "GRADIENT_S3_ACCESS_KEY": server.access_key,
        "GRADIENT_S3_SECRET_KEY": server.secret_key,
        "GRADIENT_RETRY_SECONDS": "1",
        "GRADIENT_TERMINATION_LOG": str(message),
    }
    done = subprocess.run(
        [*COMMAND, "s3-download"],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    log = done.stdout + done.stderr
    assert SECRET not in log + message.read_text()
    return done.returncode, log, json.loads(message.read_text())


def test_a_folder_arrives_byte_for_byte(
    seaweedfs: S3Server, store: S3Store, tmp_path: Path
) -> None:
    source = random.Random(1)
    wanted = {
        "large.bin": source.randbytes(30 * 1024 * 1024 + 7),
        "part.bin": source.randbytes(8 * 1024 * 1024),
        "deep/er/ü b.txt": b"text",
        "empty": b"",
        **{f"many/{number:04}": str(number).encode() for number in range(1500)},
    }
    for name, data in wanted.items():
        obstore.put(store, f"set/{name}", data)
    obstore.put(store, "setting", b"another object that begins alike")
    code, log, _ = run(seaweedfs, tmp_path, "s3://team-data/set/")
    assert code == ExitCode.OK, log
    place = tmp_path / "outputs/d"
    found = {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }
    assert found.keys() == wanted.keys()
    assert found == wanted
    assert log.splitlines()[-1] == "Downloaded 1504 files, 38.0 MiB"


def test_one_object_and_the_whole_bucket(
    seaweedfs: S3Server, store: S3Store, tmp_path: Path
) -> None:
    obstore.put(store, "one/model.pt", b"weights")
    (tmp_path / "object").mkdir()
    code, log, _ = run(
        seaweedfs, tmp_path / "object", "s3://$BUCKET/one/model.pt", BUCKET="team-data"
    )
    assert code == 0, log
    assert (tmp_path / "object/outputs/d/model.pt").read_bytes() == b"weights"
    (tmp_path / "all").mkdir()
    code, log, _ = run(seaweedfs, tmp_path / "all", "s3://team-data")
    assert code == 0, log
    assert (tmp_path / "all/outputs/d/one/model.pt").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("url", "change", "code", "reason", "says"),
    [
        ("s3://team-data/none/", {}, 1, "S3Empty", "There is nothing at"),
        ("s3://no-such-bucket/x/", {}, 77, "StorageRefused", "there is no such bucket"),
        ("s3://team-data/x/", {"ACCESS_KEY": "nobody"}, 77, "StorageRefused", "access-key"),
        ("s3://team-data/x/", {"SECRET_KEY": "wrong"}, 77, "StorageRefused", "secret-access-key"),
        (
            "s3://team-data/x/",
            {"SECRET_KEY": "", "ACCESS_KEY": ""},
            77,
            "StorageRefused",
            "it is not public",
        ),
        ("s3://team-data/x/", {"ENDPOINT": "http://127.0.0.1:9"}, 75, "S3Unreachable", "endpoint"),
        ("s3://team-data/x/", {"ENDPOINT": "smb://x"}, 1, "SettingsInvalid", "endpoint"),
    ],
)
def test_what_is_wrong_is_said_with_the_parameter_to_change(
    seaweedfs, store, tmp_path, *, url, change, code, reason, says
) -> None:
    obstore.put(store, "one/model.pt", b"weights")
    variables = {f"GRADIENT_S3_{name}": value for name, value in change.items()}
    found, log, message = run(seaweedfs, tmp_path, url, **variables)
    assert (found, message.get("reason")) == (code, reason), log
    assert says in message["error"]
