"""What helpers do when the storage is down, refuses, hangs, or the operator wants an end."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers.processes import Pod, finish
from tests.unit.datasets.trees import make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server


class HangingS3:
    """A server that takes connections and never answers a PUT; HEAD tells whether to abort.

    Once it is `deaf`, it answers nothing at all.
    """

    def __init__(self) -> None:
        self.deaf = threading.Event()
        self.abort = threading.Event()
        self.writing = threading.Event()
        self.release = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                if owner.deaf.is_set():
                    owner.release.wait()
                wanted = owner.abort.is_set() and self.path.endswith("/abort")
                self.send_response(200 if wanted else 404)
                self.send_header("Content-Length", "0")
                self.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
                self.send_header("ETag", '"0"')
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_PUT(self) -> None:
                owner.writing.set()
                owner.release.wait()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.location: dict[str, object] = {
            "endpoint": f"http://127.0.0.1:{self.http.server_port}",
            "bucket": "bucket",
            "allowHttp": True,
        }


@pytest.fixture
def hanging() -> Iterator[HangingS3]:
    server = HangingS3()
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    server.release.set()
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "accessKeyId").write_text("key-id")
    (folder / "secretAccessKey").write_text("very-secret-key")
    return folder


def test_abort_ends_an_upload_that_hangs_with_74(
    hanging: HangingS3, keys: Path, tmp_path: Path
) -> None:
    pod = Pod(root=tmp_path, location=hanging.location, keys=keys, grace=3600)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    make_tree(pod.outputs / "model", {b"a": b"1"})
    process.send_signal(signal.SIGTERM)
    assert hanging.writing.wait(60)
    hanging.abort.set()

    code, _ = finish(process)

    assert code == 74
    assert pod.message["reason"] == "Aborted"


def test_upload_that_outlasts_its_grace_ends_with_75(
    hanging: HangingS3, keys: Path, tmp_path: Path
) -> None:
    pod = Pod(root=tmp_path, location=hanging.location, keys=keys, grace=3)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0

    code, _ = finish(process)

    assert code == 75
    assert pod.message["reason"] == "GracePeriodTooShort"


def test_upload_to_a_storage_that_answers_nothing_any_more_tells_of_it_in_time(
    hanging: HangingS3, keys: Path, tmp_path: Path
) -> None:
    hanging.deaf.set()
    pod = Pod(root=tmp_path, location=hanging.location, keys=keys, grace=3)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0

    code, _ = finish(process)

    assert code == 75
    assert pod.message["reason"] == "GracePeriodTooShort"


def test_storage_that_is_down_ends_with_75_and_a_remedy(keys: Path, tmp_path: Path) -> None:
    location = {"endpoint": "http://127.0.0.1:9", "bucket": "bucket", "allowHttp": True}
    pod = Pod(root=tmp_path, location=location, keys=keys, grace=2)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0

    code, log = finish(process)

    assert code == 75
    assert pod.message["reason"] == "StorageUnavailable"
    assert "bucket 'bucket' at http://127.0.0.1:9" in pod.message["error"]
    assert any("Trying again" in line["msg"] for line in log)

    pod.variables["GRADIENT_RETRY_SECONDS"] = "0.5"
    done = pod.fetch({"path": str(tmp_path / "back"), "digest": "0" * 64})
    assert done.returncode == 75
    assert "very-secret-key" not in done.stdout + done.stderr + json.dumps([*log, pod.message])


@pytest.mark.integration
def test_wrong_keys_end_with_77(seaweedfs: S3Server, tmp_path: Path) -> None:
    wrong = seaweedfs.write_credentials(tmp_path / "keys", secretAccessKey="wrong-key")
    pod = Pod(root=tmp_path, location=seaweedfs.location("x"), keys=wrong)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0

    code, _ = finish(process)

    assert code == 77
    assert "secretAccessKey" in pod.message["error"]
    assert "wrong-key" not in json.dumps(pod.message)
    assert pod.fetch({"path": str(tmp_path / "b"), "digest": "0" * 64}).returncode == 77


def test_missing_keys_end_with_77(tmp_path: Path) -> None:
    pod = Pod(root=tmp_path, location={"endpoint": "https://s3.invalid", "bucket": "bucket"})

    done = pod.fetch({"path": str(tmp_path / "b"), "digest": "0" * 64})

    assert done.returncode == 77
    assert pod.message["reason"] == "CredentialsMissing"


@pytest.mark.integration
def test_abort_object_on_a_real_server(seaweedfs: S3Server, tmp_path: Path) -> None:
    from gradient_operator.datasets.credentials import read_credentials
    from gradient_operator.datasets.layout import run_key
    from gradient_operator.datasets.location import StorageLocation
    from gradient_operator.datasets.store import BlobStore

    keys = seaweedfs.write_credentials(tmp_path / "keys")
    location = seaweedfs.location(f"abort/{tmp_path.name}")
    store = BlobStore.open(StorageLocation.from_json(json.dumps(location)), read_credentials(keys))
    pod = Pod(root=tmp_path, location=location, keys=keys)
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    make_tree(pod.outputs / "model", {b"big": os.urandom(200 * 1024 * 1024)})
    store.put(run_key(pod.uid, "abort"), b"")

    code, _ = finish(process)

    assert code == 74
    assert store.size(run_key(pod.uid, "result.json")) is None
