"""Finds what no version needs any more, marks it, and deletes it one grace period later.

The only code that deletes in a bucket. An object goes when all of this is true:

* nothing that the cluster names reaches it, and no manifest or result younger than the grace does;
* it is itself older than the grace, by the storage's own clock;
* an earlier collection has marked it, at least one grace period ago;
* it is still unreachable when the sweep asks again, after it announced itself (`sweeps.py`).

It knows the bucket alone: what the cluster needs is told to it, anew before each sweep.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.errors import BlobMissingError, DatasetError
from gradient_operator.datasets.layout import (
    BLOBS,
    GC_CLOCK_KEY,
    GC_MARKS_KEY,
    GC_OWNER_KEY,
    GC_SWEEPS,
    MANIFESTS,
    MIRROR,
    PROVENANCE,
    RUNS,
    manifest_digest,
    run_of_key,
)
from gradient_operator.datasets.marking import Reachable, Roots
from gradient_operator.datasets.sweeps import LONGEST_WAIT_SECONDS, SWEEP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradient_operator.datasets.backend import BlobInfo
    from gradient_operator.datasets.store import CollectorStore

_log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 48 * 3_600.0
"""Longer than the longest upload (24 hours) with its commit."""
BATCH: Final = 500
"""Objects in one request for deletion."""
_FOLDERS: Final = (MANIFESTS, MIRROR, PROVENANCE, RUNS, *BLOBS)
"""What is collected, and in this order: first what names others, so that nothing names a gap."""
_SAFE_LOSS: Final = 0.5
_FEW: Final = 4


class CollectionRefused(DatasetError):
    """Collecting now might delete what somebody needs; the message says what to do."""

    default_reason = "CollectionRefused"


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of objects, and their bytes."""

    objects: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Report:
    """What a collection found and did."""

    versions: int = 0
    """Versions and other trees that the cluster, or an upload under way, needs."""
    reachable: Sum = field(default_factory=Sum)
    young: Sum = field(default_factory=Sum)
    """Unreachable and younger than the grace: perhaps an upload under way."""
    marked: Sum = field(default_factory=Sum)
    """Unreachable and marked, now or earlier; they go when their grace is over."""
    due: Sum = field(default_factory=Sum)
    """Those whose grace is over."""
    deleted: Sum = field(default_factory=Sum)
    missing: tuple[str, ...] = ()
    """Digests of versions that the bucket does not hold."""
    finished: bool = True
    """False if the time was over before everything due was deleted: the next one goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a collection works; times in seconds."""

    owner: str
    """Which cluster this is: two clusters that share a prefix would delete each other's data."""
    grace: float = GRACE_SECONDS
    dry_run: bool = False
    take_over: bool = False
    force: bool = False
    sweep_seconds: float = SWEEP_SECONDS


def collect(
    store: CollectorStore,
    roots: Callable[[], Roots],
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Mark, and delete what was marked a grace period ago.

    `roots` is asked before each sweep. Interrupting it at any point loses nothing.

    Raises:
        CollectionRefused: the bucket belongs to another cluster, or too much would go.
        ManifestError: a manifest that is needed is damaged.
        StorageError: the storage does not answer or refuses us.
    """
    _check_owner(store, settings)
    now = _server_time(store)
    wanted = roots()
    _check_loss(store, wanted, settings)
    reachable = Reachable(store)
    _mark(reachable, store, wanted, since=now - settings.grace)
    report = Report(missing=tuple(sorted(reachable.missing)))
    marks, due = _look_through(store, reachable, report, now=now, grace=settings.grace)
    report.versions = sum(manifest_digest(key) is not None for key in reachable.keys)
    if settings.dry_run:
        return report
    _store_marks(store, marks)
    _remove_stale_sweeps(store, now)
    sweeper = _Sweeper(store, roots, reachable, settings, clock)
    for key in sweeper.sweep(due, report, since=now - settings.grace):
        del marks[key]
    _store_marks(store, marks)
    return report


def _look_through(
    store: CollectorStore, reachable: Reachable, report: Report, *, now: float, grace: float
) -> tuple[dict[str, float], list[BlobInfo]]:
    """All marks as they are from now on, and the objects whose grace is over."""
    before = _load_marks(store)
    marks: dict[str, float] = {}
    due: list[BlobInfo] = []
    for info in (info for folder in _FOLDERS for info in store.list(folder)):
        modified = info.modified.timestamp()
        if reachable.covers(info.key):
            report.reachable = _plus(report.reachable, info)
        elif modified > now - grace:
            report.young = _plus(report.young, info)
        else:
            marked = before.get(info.key, now)
            marks[info.key] = now if modified > marked else marked
            report.marked = _plus(report.marked, info)
            if now - marks[info.key] >= grace:
                due.append(info)
                report.due = _plus(report.due, info)
    return marks, due


@dataclass(slots=True)
class _Sweeper:
    """Deletes in bounded turns, each with an announcement and a fresh look at what is needed."""

    store: CollectorStore
    roots: Callable[[], Roots]
    reachable: Reachable
    settings: Settings
    clock: Callable[[], float]

    def sweep(self, due: list[BlobInfo], report: Report, *, since: float) -> list[str]:
        """Delete what is due, as far as it is still unreachable; gives the keys that are gone."""
        gone: list[str] = []
        position = 0
        while position < len(due):
            before = position
            for batch in self._turn(due[position:], since=since):
                position += len(batch)
                for info in batch:
                    if not self.reachable.covers(info.key):
                        report.deleted = _plus(report.deleted, info)
                        gone.append(info.key)
            if position == before:
                report.finished = False
                break
        return gone

    def _turn(self, due: list[BlobInfo], *, since: float) -> Iterator[list[BlobInfo]]:
        """Look again and delete for a while; gives the batches that were seen to."""
        announcement = f"{GC_SWEEPS}/{uuid.uuid4().hex}"
        self.store.put(announcement, b"{}")
        end = self.clock() + self.settings.sweep_seconds
        _mark(self.reachable, self.store, self.roots(), since=since)
        for start in range(0, len(due), BATCH):
            if self.clock() >= end:
                break
            batch = due[start : start + BATCH]
            self.store.delete([i.key for i in batch if not self.reachable.covers(i.key)])
            yield batch
        # Not after a failure: a deletion that was not answered may still take effect.
        self.store.delete([announcement])


def _mark(reachable: Reachable, store: CollectorStore, wanted: Roots, *, since: float) -> None:
    """Everything that the cluster needs, and what uploads under way may need."""
    reachable.add(wanted)
    for info in store.list(MANIFESTS):
        digest = manifest_digest(info.key)
        if digest is not None and info.modified.timestamp() > since:
            reachable.add_version(digest)
    young = (info.key for info in store.list(RUNS) if info.modified.timestamp() > since)
    reachable.add_results({run_of_key(key) for key in young})


def _server_time(store: CollectorStore) -> float:
    """Now, by the clock that dates the objects."""
    store.put(GC_CLOCK_KEY, b"{}")
    times = [info.modified for info in store.list_few(GC_CLOCK_KEY.rpartition("/")[0])]
    return max(times).timestamp()


def _check_owner(store: CollectorStore, settings: Settings) -> None:
    owner = json.dumps({"cluster": settings.owner}, sort_keys=True).encode()
    try:
        found = bytes(store.get(GC_OWNER_KEY))
    except BlobMissingError:
        found = b""
    if found not in {b"", owner} and not settings.take_over:
        raise CollectionRefused(
            "The objects below this prefix belong to another cluster: collecting them from here "
            "would delete its data. If that cluster is gone, take them over with --take-over, "
            "after 'gradient dataset recover'.",
            reason="OtherOwner",
        )
    if found != owner and not settings.dry_run:
        store.put(GC_OWNER_KEY, owner)


def _check_loss(store: CollectorStore, wanted: Roots, settings: Settings) -> None:
    """Refuse when most of what the bucket knows is unknown to the cluster: rather recover it."""
    known = lost = 0
    for info in store.list(MIRROR):
        known += info.key in wanted.records
        lost += info.key not in wanted.records
    if settings.force or lost <= max(_FEW, _SAFE_LOSS * (known + lost)):
        return
    raise CollectionRefused(
        f"The bucket has records of {known + lost} datasets and versions, and the cluster knows "
        f"{known} of them. If they were lost, bring them back with 'gradient dataset "
        "recover'; if they were deleted on purpose, collect with --force.",
        reason="TooMuchLost",
    )


def _load_marks(store: CollectorStore) -> dict[str, float]:
    try:
        lines = bytes(store.get(GC_MARKS_KEY)).decode().splitlines()
        pairs = (line.partition(" ") for line in lines)
        return {key: float(time) for time, _, key in pairs}
    except BlobMissingError:
        return {}
    except ValueError:
        _log.warning("the list of marked objects cannot be read: every object is marked anew")
        return {}


def _store_marks(store: CollectorStore, marks: dict[str, float]) -> None:
    store.put(GC_MARKS_KEY, "".join(_mark_lines(marks)).encode())


def _mark_lines(marks: dict[str, float]) -> Iterator[str]:
    for key, marked in sorted(marks.items()):
        yield f"{marked:.3f} {key}\n"


def _remove_stale_sweeps(store: CollectorStore, now: float) -> None:
    """Take away what a collector that crashed left: uploads would wait for it."""
    old = now - 2 * LONGEST_WAIT_SECONDS
    stale = [info.key for info in store.list_few(GC_SWEEPS) if info.modified.timestamp() < old]
    store.delete(stale)


def _plus(total: Sum, info: BlobInfo) -> Sum:
    return Sum(total.objects + 1, total.bytes + info.size)


def as_dict(report: Report) -> dict[str, Any]:
    """The report as JSON has it."""
    sums = {
        name: {"objects": total.objects, "bytes": total.bytes}
        for name in ("reachable", "young", "marked", "due", "deleted")
        for total in [getattr(report, name)]
    }
    rest = {"missing": list(report.missing), "finished": report.finished}
    return {"versions": report.versions, **sums, **rest}
