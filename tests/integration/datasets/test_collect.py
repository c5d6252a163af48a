"""Collections on real stores: what is needed stays readable, also while others upload."""

from __future__ import annotations

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.collect import Settings, collect
from gradient_operator.datasets.layout import BLOBS, MANIFESTS
from gradient_operator.datasets.marking import Roots
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import CollectorStore, RetryPolicy
from gradient_operator.datasets.verify import examine
from tests.unit.datasets.trees import Node, make_tree

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.backend import Backend

PATIENT = RetryPolicy(elapsed=30.0)
RACE_SECONDS = 25.0
GRACE_SECONDS = 6.0
"""Much longer than one of the small uploads below takes, from its first object to its commit."""


@pytest.fixture
def bucket(any_backend: Backend) -> CollectorStore:
    return CollectorStore(any_backend, prefix=f"collect/{uuid.uuid4()}", retry=PATIENT)


def tree_of(*names: str) -> dict[bytes, Node]:
    return {name.encode(): name.encode() * 1000 for name in names} | {
        name.encode() + b".big": name.encode().ljust(4, b"-") * 2**18 for name in names
    }


def test_only_the_unneeded_goes(bucket: CollectorStore, tmp_path: Path) -> None:
    kept = snapshot(bucket, make_tree(tmp_path / "a", tree_of("shared", "a")))
    gone = snapshot(bucket, make_tree(tmp_path / "b", tree_of("shared", "b")))

    # A server dates its objects to the second: the grace is over already.
    report = collect(
        bucket, lambda: Roots(frozenset({kept.digest})), Settings(owner="test", grace=-2.0)
    )

    assert report.deleted.objects >= 3
    assert list(examine(bucket, kept.digest)) == []
    assert bucket.size(f"{MANIFESTS}/sha256/{gone.digest}") is None


class Team:
    """People who upload, commit and delete versions, all at once."""

    def __init__(self, bucket: CollectorStore, folder: Path) -> None:
        self.bucket = bucket
        self.folder = folder
        self.versions: set[str] = set()
        self.lock = threading.Lock()
        self.end = time.monotonic() + RACE_SECONDS

    def upload(self, seed: int) -> int:
        choice = random.Random(seed)
        uploads = 0
        while time.monotonic() < self.end:
            # Of this second, or of one whose data is just being collected.
            second = int(RACE_SECONDS - (self.end - time.monotonic()))
            ages = [0, 0, *range(int(2 * GRACE_SECONDS), int(2 * GRACE_SECONDS) + 4)]
            names = [f"s{max(0, second - choice.choice(ages))}" for _ in range(2)]
            source = make_tree(self.folder / f"{seed}-{uploads}", tree_of(*names))
            version = snapshot(self.bucket, source)
            with self.lock:
                self.versions.add(version.digest)
                if choice.random() < 0.7:
                    self.versions.discard(choice.choice(sorted(self.versions)))
            uploads += 1
        return uploads

    def roots(self) -> Roots:
        with self.lock:
            return Roots(frozenset(self.versions))

    def collect(self) -> int:
        deleted = 0
        while time.monotonic() < self.end:
            settings = Settings(owner="test", grace=GRACE_SECONDS)
            deleted += collect(self.bucket, self.roots, settings).deleted.objects
        return deleted


@pytest.mark.integration
@pytest.mark.parametrize("any_backend", ["seaweedfs"], indirect=True)
def test_uploads_and_collections_at_once_lose_nothing(
    bucket: CollectorStore, tmp_path: Path
) -> None:
    team = Team(bucket, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(team.upload, seed) for seed in range(3)]
        deleted = team.collect()
        made = sum(upload.result() for upload in uploads)

    print(f"{made} uploads, {deleted} objects deleted, {len(team.versions)} versions left")
    assert deleted > 0
    for digest in team.versions:
        assert list(examine(bucket, digest)) == []
    left = {info.key for part in BLOBS for info in bucket.list(part)}
    assert left
