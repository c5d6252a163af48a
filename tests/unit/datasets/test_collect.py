"""What a collection tells, refuses and leaves; what it never deletes stands in tests/property."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.collect import CollectionRefused, Settings, Sum, as_dict, collect
from gradient_operator.datasets.errors import ManifestError
from gradient_operator.datasets.layout import (
    GC_MARKS_KEY,
    GC_OWNER_KEY,
    GC_SWEEPS,
    manifest_key,
    run_key,
)
from gradient_operator.datasets.marking import Roots
from gradient_operator.datasets.mirror import DatasetRecord, VersionRecord, write
from gradient_operator.datasets.result import UploadResult, write_result
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import CollectorStore
from gradient_operator.datasets.sweeps import wait_for_sweeps
from tests.unit.datasets.trees import QUICK, Node, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradient_operator.datasets.backend import BlobInfo, ObstoreBackend
    from gradient_operator.datasets.collect import Report
    from gradient_operator.datasets.manifest import Version

GRACE = 3_600.0
SHARED: dict[bytes, Node] = {b"shared": b"s" * 2**20, b"small": b"1"}


class Aging(CollectorStore):
    """Every object is as old as the world, save those that are `young`; one clock says when."""

    now = 1_700_000_000.0
    young: set[str]

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        for info in super().list(prefix):
            recent = info.key in self.young or "/gc/" in info.key
            made = self.now if recent else 1_600_000_000.0
            moment = datetime.fromtimestamp(made, tz=UTC)
            yield type(info)(key=info.key, size=info.size, modified=moment)


@pytest.fixture
def bucket(backend: ObstoreBackend) -> Aging:
    store = Aging(backend, prefix="team", retry=QUICK)
    store.young = set()
    return store


def run(bucket: Aging, *needed: Version, roots: Roots | None = None, **changes: object) -> Report:
    wanted = roots or Roots(frozenset(version.digest for version in needed))
    settings = Settings(owner="here", grace=GRACE, **changes)  # type: ignore[arg-type]
    return collect(bucket, lambda: wanted, settings)


def keys(bucket: Aging) -> set[str]:
    return {info.key for info in bucket.list("v1") if "/gc/" not in info.key}


def test_unneeded_objects_are_marked_then_deleted_and_shared_ones_stay(
    bucket: Aging, tmp_path: Path
) -> None:
    kept = snapshot(bucket, make_tree(tmp_path / "a", {**SHARED, b"own": b"a"}))
    before = keys(bucket)
    gone = snapshot(bucket, make_tree(tmp_path / "b", {**SHARED, b"own": b"b" * 3 * 2**20}))

    first = run(bucket, kept)
    assert (first.versions, first.marked.objects, first.deleted) == (1, 3, Sum())
    assert first.marked.bytes > 3 * 2**20
    bucket.now += GRACE - 1
    assert run(bucket, kept).deleted == Sum()
    bucket.now += 1
    last = run(bucket, kept)
    assert last.deleted == last.due == first.marked
    assert keys(bucket) == before
    assert run(bucket, kept, gone).missing == (gone.digest,)
    assert bytes(bucket.get(GC_MARKS_KEY)) == b""
    assert list(bucket.list(GC_SWEEPS)) == []


def test_dry_run_tells_the_same_and_changes_nothing(bucket: Aging, tmp_path: Path) -> None:
    snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    run(bucket)
    bucket.now += GRACE
    before = keys(bucket)

    told = run(bucket, dry_run=True)
    assert (told.due.objects, told.deleted) == (3, Sum())
    assert keys(bucket) == before
    assert run(bucket).deleted == told.due


def test_what_is_needed_again_loses_its_mark(bucket: Aging, tmp_path: Path) -> None:
    version = snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    run(bucket)
    bucket.now += GRACE
    assert run(bucket, version).deleted == Sum()
    assert run(bucket).deleted == Sum()
    bucket.now += GRACE
    assert run(bucket).deleted.objects == 3


def test_what_is_young_is_not_even_marked(bucket: Aging, tmp_path: Path) -> None:
    snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    bucket.young = {key for key in keys(bucket) if "/packs/" in key or "/segments/" in key}
    report = run(bucket)
    assert (report.young.objects, report.marked.objects) == (2, 1)


def test_a_young_manifest_keeps_what_it_names(bucket: Aging, tmp_path: Path) -> None:
    version = snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    bucket.young = {manifest_key(version.digest)}
    report = run(bucket)
    assert (report.reachable.objects, report.marked.objects) == (3, 0)


def test_results_keep_what_they_name_while_their_pod_or_run_does(
    bucket: Aging, tmp_path: Path
) -> None:
    version = snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    result = UploadResult(outputs={"out": version}, strings={})
    write_result(bucket, "pod-1", result)
    write_result(bucket, "pod-2", UploadResult(outputs={}, strings={"s": "x"}))
    report = run(bucket, roots=Roots(results=frozenset({"pod-1", "pod-3"})))
    assert (report.reachable.objects, report.marked.objects) == (4, 1)
    bucket.young = {run_key("pod-1", "result.json")}
    assert run(bucket).reachable.objects == 3


def test_another_clusters_bucket_is_left_alone(bucket: Aging, tmp_path: Path) -> None:
    snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    run(bucket)
    other = Settings(owner="there", grace=GRACE)
    with pytest.raises(CollectionRefused, match="belong to another cluster"):
        collect(bucket, Roots, other)
    collect(bucket, Roots, Settings(owner="there", grace=GRACE, take_over=True))
    with pytest.raises(CollectionRefused, match="belong to another cluster"):
        run(bucket)
    assert b"there" in bytes(bucket.get(GC_OWNER_KEY))


def test_a_cluster_that_lost_its_versions_deletes_nothing(bucket: Aging, tmp_path: Path) -> None:
    version = snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    write(bucket, DatasetRecord(namespace="ns", name="d"))
    records = [
        VersionRecord(namespace="ns", spec={"dataset": "d", "digest": f"{number:064x}"})
        for number in range(8)
    ]
    for record in records:
        write(bucket, record)
    with pytest.raises(CollectionRefused, match="bring them back with 'gradient dataset recover'"):
        run(bucket, version)
    known = Roots(records=frozenset(record.key for record in records[:6]))
    assert run(bucket, roots=known).reachable.objects == 6
    assert run(bucket, force=True).marked.objects == 12


def test_a_damaged_manifest_stops_everything(bucket: Aging, tmp_path: Path) -> None:
    version = snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    bucket.put(manifest_key(version.digest), b"junk")
    with pytest.raises(ManifestError):
        run(bucket, version)


def test_a_sweep_ends_when_its_time_is_over_and_the_next_goes_on(
    bucket: Aging, tmp_path: Path
) -> None:
    for number in range(3):
        snapshot(bucket, make_tree(tmp_path / str(number), {b"f": b"%d" % number}))
    run(bucket)
    bucket.now += GRACE
    report = run(bucket, sweep_seconds=0.0)
    assert (report.due.objects, report.deleted, report.finished) == (6, Sum(), False)
    assert run(bucket).deleted.objects == 6


def test_marks_that_cannot_be_read_only_cost_time(bucket: Aging, tmp_path: Path) -> None:
    snapshot(bucket, make_tree(tmp_path / "a", SHARED))
    run(bucket)
    bucket.now += GRACE
    bucket.put(GC_MARKS_KEY, b"junk\n")
    assert run(bucket).deleted == Sum()
    bucket.now += GRACE
    assert run(bucket).deleted.objects == 3


def test_the_remains_of_a_crashed_sweep_go(bucket: Aging) -> None:
    bucket.put(f"{GC_SWEEPS}/crashed", b"{}")
    run(bucket)
    assert [info.key for info in bucket.list(GC_SWEEPS)] == [f"{GC_SWEEPS}/crashed"]
    bucket.now += GRACE
    stale = Aging.list

    def aged(self: Aging, prefix: str) -> Iterator[BlobInfo]:
        for info in stale(self, prefix):
            if GC_SWEEPS not in info.key:
                yield info
                continue
            old = datetime.fromtimestamp(self.now - GRACE, tz=UTC)
            yield type(info)(key=info.key, size=info.size, modified=old)

    bucket.list = aged.__get__(bucket)  # type: ignore[method-assign]
    run(bucket)
    assert list(bucket.list(GC_SWEEPS)) == []


def test_an_upload_waits_for_a_sweep_and_not_for_ever(bucket: Aging) -> None:
    times = iter(range(0, 10_000, 50))
    bucket.put(f"{GC_SWEEPS}/now", b"{}")
    paused: list[float] = []
    bucket.cancellation.pause = paused.append  # type: ignore[method-assign]
    wait_for_sweeps(bucket, clock=lambda: float(next(times)))
    assert 1 < len(paused) < 10
    bucket.cancellation.pause = lambda _: bucket.delete([f"{GC_SWEEPS}/now"])  # type: ignore[method-assign]
    wait_for_sweeps(bucket, clock=lambda: 0.0)


def test_the_report_is_plain_json(bucket: Aging) -> None:
    body = as_dict(run(bucket))
    assert body["deleted"] == {"objects": 0, "bytes": 0}
    assert body["finished"] is True
