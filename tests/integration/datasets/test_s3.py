"""What only a real server can show: its errors, and checksums that it verifies itself."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import S3Store

from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.errors import StorageRefusedError, StorageUnavailableError
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore, RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server
from tests.unit.datasets.trees import make_tree

pytestmark = pytest.mark.integration
ONCE = RetryPolicy(first_delay=0.001, elapsed=0)


def connect(server: S3Server, folder: Path, keys: dict[str, str], **changes: object) -> BlobStore:
    location = StorageLocation.from_json(json.dumps(server.location("s3-tests", **changes)))
    credentials = read_credentials(server.write_credentials(folder, **keys))
    return BlobStore.open(location, credentials, retry=ONCE)


def test_wrong_keys_are_refused_with_the_remedy(seaweedfs: S3Server, tmp_path: Path) -> None:
    unknown = connect(seaweedfs, tmp_path / "a", {"accessKeyId": "nobody"})
    with pytest.raises(StorageRefusedError, match="correct accessKeyId"):
        unknown.put("v1/x", b"1")

    wrong = connect(seaweedfs, tmp_path / "b", {"secretAccessKey": "wrong"})
    for call in (lambda: wrong.put("v1/x", b"1"), lambda: wrong.get("v1/x")):
        with pytest.raises(StorageRefusedError, match="correct secretAccessKey") as caught:
            call()
        assert seaweedfs.endpoint in str(caught.value)
    with pytest.raises(StorageRefusedError):
        wrong.size("v1/x")


def test_reader_may_not_write(seaweedfs: S3Server, tmp_path: Path) -> None:
    keys = {"accessKeyId": "reader", "secretAccessKey": "reader-secret"}
    reader = connect(seaweedfs, tmp_path / "a", keys)

    with pytest.raises(StorageRefusedError, match="lack the permission"):
        reader.put("v1/x", b"1")


def test_missing_bucket_is_refused_with_the_remedy(seaweedfs: S3Server, tmp_path: Path) -> None:
    store = connect(seaweedfs, tmp_path / "a", {}, bucket=f"none-{uuid.uuid4()}")

    with pytest.raises(StorageRefusedError, match="bucket does not exist"):
        store.get("v1/x")


def test_bucket_comes_into_being_at_the_first_write(seaweedfs: S3Server, tmp_path: Path) -> None:
    store = connect(seaweedfs, tmp_path / "a", {}, bucket=f"new-{uuid.uuid4()}")

    assert store.add("v1/x", b"1")
    assert bytes(store.get("v1/x")) == b"1"


def test_first_version_goes_into_a_bucket_that_is_not_there_yet(
    seaweedfs: S3Server, tmp_path: Path
) -> None:
    store = connect(seaweedfs, tmp_path / "keys", {}, bucket=f"new-{uuid.uuid4()}")
    version = snapshot(store, make_tree(tmp_path / "t", {b"a": b"1"}))

    assert restore(store, version.digest, tmp_path / "back") == version


def test_server_that_is_not_there_is_unavailable(seaweedfs: S3Server, tmp_path: Path) -> None:
    for endpoint in ("http://127.0.0.1:9", "http://nowhere.invalid"):
        store = connect(seaweedfs, tmp_path / "a", {}, endpoint=endpoint)
        with pytest.raises(StorageUnavailableError, match=endpoint):
            store.get("v1/x")


def test_server_checks_the_digest_of_what_it_stores(seaweedfs: S3Server) -> None:
    """The checksum that is sent is the one that the server computes, or it refuses the blob."""
    store = S3Store(
        seaweedfs.bucket,
        endpoint=seaweedfs.endpoint,
        region="us-east-1",
        access_key_id=seaweedfs.access_key,
        secret_access_key=seaweedfs.secret_key,
        client_options={
            "allow_http": True,
            "default_headers": {"x-amz-checksum-sha256": "A" * 43 + "="},
        },
        retry_config={"max_retries": 0},
    )
    with pytest.raises(Exception, match=r"BadDigest|400"):
        obstore.put(store, "wrong", b"data", use_multipart=False)
