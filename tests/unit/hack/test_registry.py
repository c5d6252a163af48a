"""The registry serves what was loaded under the names nodes ask for, and denies the rest."""

from __future__ import annotations

import http.client
import json
import threading
from typing import TYPE_CHECKING

import pytest

from hack.images import oci, registry
from hack.images.oci import BlobStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def served(tmp_path: Path):
    store = BlobStore(tmp_path / "blobs")
    manifest = store.put_bytes(b'{"a": "manifest"}', oci.MANIFEST)
    index = tmp_path / "images.json"
    index.write_text(json.dumps({"docker.io/library/alpine:latest": manifest.digest}))
    (tmp_path / "secret").write_text("not a blob")
    server = registry.make_server("127.0.0.1", 0, blobs=store.folder, index=index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], manifest
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, path: str, *, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    answer = response.status, response.read(), dict(response.getheaders())
    connection.close()
    return answer


def test_manifest_is_found_by_the_name_that_a_node_asks_for(served):
    port, manifest = served
    status, body, headers = ask(port, "/v2/library/alpine/manifests/latest?ns=docker.io")
    assert (status, body) == (200, b'{"a": "manifest"}')
    assert headers["Content-Type"] == oci.MANIFEST
    assert headers["Docker-Content-Digest"] == manifest.digest


def test_manifest_and_blob_are_found_by_digest(served):
    port, manifest = served
    assert ask(port, f"/v2/any/manifests/{manifest.digest}")[0] == 200
    assert ask(port, f"/v2/any/blobs/{manifest.digest}")[1] == b'{"a": "manifest"}'


def test_head_says_the_size_and_sends_nothing(served):
    port, manifest = served
    status, body, headers = ask(port, f"/v2/any/blobs/{manifest.digest}", method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(manifest.size))


def test_version_check_is_answered(served):
    assert ask(served[0], "/v2/")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/library/alpine/manifests/3?ns=docker.io",
        "/v2/library/alpine/manifests/latest?ns=registry.example.com",
        "/v2/library/alpine/blobs/sha256:00",
        "/v2/x/blobs/sha256:../secret",
        "/v2/x/blobs/..%2Fsecret",
        "/secret",
        "/",
    ],
)
def test_everything_else_is_not_found(served, path: str):
    status, body, _ = ask(served[0], path)
    assert status == 404
    assert b"not a blob" not in body
