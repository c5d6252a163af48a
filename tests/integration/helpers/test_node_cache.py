"""The cache of a node under several Pods at once, on a real server."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.report import TransferReport, decode_report
from tests.integration.helpers.processes import Pod, finish
from tests.unit.datasets.trees import make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server

pytestmark = pytest.mark.integration
MIB = 1024 * 1024


def make_version(pod: Pod, name: str, **files: bytes) -> str:
    (pod.root / "ready").unlink(missing_ok=True)
    process = pod.start_upload(name)
    assert pod.wait_ready() == 0
    make_tree(pod.outputs / name, {key.encode(): data for key, data in files.items()})
    assert finish(process)[0] == 0
    return str(pod.message["outputs"][name]["digest"])


def fetch(pod: Pod, number: int, digest: str, cache: dict[str, object]) -> TransferReport:
    """One Pod of its own that fetches a version."""
    root = pod.root / f"pod-{number}"
    root.mkdir()
    variables = {"GRADIENT_BLOB_CACHE": json.dumps(cache)}
    other = Pod(root=root, location=pod.location, keys=pod.keys, variables=variables)
    done = other.fetch({"path": str(root / "data"), "digest": digest})
    assert done.returncode == 0, done.stdout
    found = decode_report(json.dumps(other.message))
    assert found is not None
    return found


def test_pods_share_a_cache_that_is_too_small_for_them(seaweedfs: S3Server, tmp_path: Path) -> None:
    keys = seaweedfs.write_credentials(tmp_path / "keys")
    pod = Pod(root=tmp_path, location=seaweedfs.location(f"cache/{tmp_path.name}"), keys=keys)
    digests = [
        make_version(pod, f"v{number}", a=os.urandom(20 * MIB), b=os.urandom(5000))
        for number in range(2)
    ]
    limit = 30 * MIB
    cache: dict[str, object] = {"path": str(tmp_path / "cache"), "bytes": limit}
    choice = random.Random(7)
    order = [*digests, *(choice.choice(digests) for _ in range(4))]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda pair: fetch(pod, *pair, cache), enumerate(order)))

    for number, digest in enumerate(order):
        source = tmp_path / "outputs" / f"v{digests.index(digest)}"
        assert read_tree(tmp_path / f"pod-{number}/data") == read_tree(source)
    kept = [path.stat().st_size for path in (tmp_path / "cache").glob("??/*")]
    assert 0 < sum(kept) <= limit

    warm = fetch(pod, 98, digests[0], cache | {"bytes": 100 * MIB})
    again = fetch(pod, 99, digests[0], cache | {"bytes": 100 * MIB})
    assert warm.bytes == again.bytes == 20 * MIB + 5000
    assert (again.cache_misses, again.cache_bytes) == (0, again.bytes)
