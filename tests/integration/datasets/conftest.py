"""The same store three times: in memory, in a folder, on a real S3 server."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore

from gradient_operator.datasets.backend import Backend, ObstoreBackend, open_backend
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.store import BlobStore
from tests.integration.seaweedfs import S3Server, seaweedfs
from tests.unit.datasets.trees import QUICK

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["seaweedfs"]

KINDS = ["memory", "local", pytest.param("seaweedfs", marks=pytest.mark.integration)]


@pytest.fixture(params=KINDS)
def any_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "memory":
        return ObstoreBackend(MemoryStore(), "memory")
    if request.param == "local":
        location = StorageLocation(endpoint=f"file://{tmp_path}/bucket")
        return open_backend(location, None)
    server: S3Server = request.getfixturevalue("seaweedfs")
    location = StorageLocation.from_json(json.dumps(server.location("")))
    keys = read_credentials(server.write_credentials(tmp_path / "keys"))
    return open_backend(location, keys)


@pytest.fixture
def any_store(any_backend: Backend) -> BlobStore:
    return BlobStore(any_backend, prefix=f"test/{uuid.uuid4()}", retry=QUICK)
