"""Stores without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore

from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.store import BlobStore
from tests.unit.datasets.trees import QUICK

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def backend() -> ObstoreBackend:
    return ObstoreBackend(MemoryStore(), "memory")


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return BlobStore(ObstoreBackend(MemoryStore(), "memory"), prefix="team/data", retry=QUICK)
    location = StorageLocation(endpoint=f"file://{tmp_path}/bucket", prefix="team/data")
    return BlobStore.open(location, retry=QUICK)
