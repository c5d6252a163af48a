"""Plain objects go out of a version and come in again, on a real S3 server."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.backend import open_backend
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.plain import export_plain
from gradient_operator.datasets.progress import ProgressMeter
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore
from gradient_operator.helpers.s3_bucket import Source
from gradient_operator.helpers.s3_download import Download, copy_objects
from tests.unit.datasets.trees import Node, make_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server

pytestmark = pytest.mark.integration

TREE: dict[bytes, Node] = {
    b"a b#%25?&+.txt": b"odd",
    b"deep/er/long": bytes(range(256)) * (17 * 4096),
    b"empty": b"",
    "名前 😀".encode(): b"letters",
    b"n" * 255: b"long name",
}


def test_what_is_exported_is_imported_as_the_same_version(
    seaweedfs: S3Server, tmp_path: Path
) -> None:
    location = StorageLocation.from_json(json.dumps(seaweedfs.location(f"plain-{uuid.uuid4()}")))
    keys = read_credentials(seaweedfs.write_credentials(tmp_path / "keys"))
    store = BlobStore.open(location, keys)
    version = snapshot(store, make_tree(tmp_path / "tree", TREE))
    place = f"exported/{uuid.uuid4()}"
    bucket = open_backend(
        StorageLocation(
            endpoint=location.endpoint, bucket=location.bucket, prefix="", allow_http=True
        ),
        keys,
    )
    done = export_plain(store, version.digest, bucket, place)
    assert done.left_out == []
    assert (done.files, done.bytes) == (version.files, version.bytes)
    source = Source(
        bucket=location.bucket,
        endpoint=location.endpoint,
        access_key=seaweedfs.access_key,
        secret_key=seaweedfs.secret_key,
    )
    task = Download(source=source, key=place, is_folder=True, path=str(tmp_path / "back"))
    copy_objects(task, ProgressMeter())
    assert snapshot(store, tmp_path / "back") == version
