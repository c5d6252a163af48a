"""Connections that break on the way to a real server: nothing that arrived is sent again."""

from __future__ import annotations

import json
import os
import threading
import uuid
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from tests.integration.datasets.cutting_proxy import CuttingProxy
from tests.unit.datasets.trees import make_tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server

pytestmark = pytest.mark.integration
MIB = 1024 * 1024
SIZE = 64 * MIB + 12_345
PATIENT = RetryPolicy(first_delay=0.01, longest_delay=0.05, elapsed=60)
ONCE = RetryPolicy(first_delay=0.001, elapsed=0)
THREADS = 2
UNDER_WAY = THREADS * 16 * MIB
"""What two threads may have to send or fetch again: a segment each."""


@pytest.fixture
def proxy(seaweedfs: S3Server) -> Iterator[CuttingProxy]:
    with CuttingProxy(seaweedfs.endpoint) as found:
        yield found


@pytest.fixture
def location(seaweedfs: S3Server) -> dict[str, object]:
    return seaweedfs.location(f"resume/{uuid.uuid4()}")


@pytest.fixture
def keys(seaweedfs: S3Server, tmp_path: Path) -> Path:
    return seaweedfs.write_credentials(tmp_path / "keys")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    small = {b"small/%04d" % number: os.urandom(2_000) for number in range(200)}
    return make_tree(tmp_path / "tree", {b"model.bin": os.urandom(SIZE), **small})


def connect(location: dict[str, object], keys: Path, retry: RetryPolicy, **more: object):
    body = json.dumps({**location, **more})
    return BlobStore.open(StorageLocation.from_json(body), read_credentials(keys), retry=retry)


def transfers() -> list[threading.Thread]:
    """Threads of transfers that are still there."""
    return [each for each in threading.enumerate() if each.name.startswith("transfer")]


def test_download_goes_on_within_an_object(
    proxy: CuttingProxy, location: dict[str, object], keys: Path, tree: Path, tmp_path: Path
) -> None:
    digest = snapshot(connect(location, keys, PATIENT), tree).digest
    proxy.cut_down = 5 * MIB  # no segment fits through one connection
    proxy.most_cuts = SIZE // proxy.cut_down  # who begins a segment anew needs twice the bytes

    store = connect(location, keys, PATIENT, endpoint=proxy.endpoint)
    restore(store, digest, tmp_path / "back", concurrency=THREADS)

    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert proxy.cuts == proxy.most_cuts
    assert proxy.down < SIZE + proxy.cuts * 2 * MIB, "more than what was being gathered was lost"
    assert not transfers()


def test_next_download_fetches_only_what_is_not_there(
    proxy: CuttingProxy, location: dict[str, object], keys: Path, tree: Path, tmp_path: Path
) -> None:
    digest = snapshot(connect(location, keys, PATIENT), tree).digest
    proxy.allow_down = SIZE - 10 * MIB
    store = connect(location, keys, ONCE, endpoint=proxy.endpoint)
    with pytest.raises(StorageUnavailableError):
        restore(store, digest, tmp_path / "back", concurrency=THREADS)
    assert not transfers(), "nothing may write after it has raised"
    proxy.allow_down = None
    proxy.reset_counts()

    restore(store, digest, tmp_path / "back", concurrency=THREADS)

    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert proxy.down < 10 * MIB + UNDER_WAY + 2 * MIB


def test_upload_survives_cuts_and_sends_no_acknowledged_object_again(
    proxy: CuttingProxy, location: dict[str, object], keys: Path, tree: Path, tmp_path: Path
) -> None:
    proxy.allow_up = SIZE // 2
    store = connect(location, keys, ONCE, endpoint=proxy.endpoint)
    with pytest.raises(StorageUnavailableError):
        snapshot(store, tree, concurrency=THREADS)
    assert not transfers()
    there = sum(info.size for info in connect(location, keys, ONCE).list("v1/segments"))
    assert there > 0
    proxy.allow_up = None
    proxy.cut_up = 24 * MIB  # one segment and a half
    proxy.reset_counts()

    store = connect(location, keys, PATIENT, endpoint=proxy.endpoint)
    version = snapshot(store, tree, concurrency=THREADS)

    assert proxy.up < 2 * (SIZE - there) + 2 * MIB
    restore(connect(location, keys, ONCE), version.digest, tmp_path / "back")
    assert read_tree(tmp_path / "back") == read_tree(tree)
