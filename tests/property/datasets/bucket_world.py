"""A bucket with its own clock, in which uploads, commits, deletions and collections interleave.

Every request may be interrupted: before it takes effect another actor acts, time passes, or the
actor dies. Interruptions nest, so that a sweep happens inside an upload, or an upload inside a
sweep. All of it is deterministic: pools run their tasks at once.
"""

from __future__ import annotations

import shutil
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from obstore.store import MemoryStore

from gradient_operator.datasets import snapshot as snapshot_module
from gradient_operator.datasets import sweeps
from gradient_operator.datasets import verify as verify_module
from gradient_operator.datasets.backend import REQUEST_SECONDS, Backend, ObstoreBackend
from gradient_operator.datasets.collect import Report, Settings, collect
from gradient_operator.datasets.errors import StorageError, StorageUnavailableError
from gradient_operator.datasets.marking import Roots
from gradient_operator.datasets.pool import Cancellation
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import CollectorStore, RetryPolicy
from gradient_operator.datasets.verify import examine
from tests.unit.datasets.trees import make_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from gradient_operator.datasets.backend import BlobInfo, Data

GRACE = 20_000.0
DEEPEST = 2


class Crash(BaseException):
    """The actor that made this request is no more."""


class InlinePool:
    """As `TransferPool`, but in the thread that submits."""

    def __init__(self, concurrency: int) -> None:
        pass

    def submit(self, task: Callable[[], None]) -> None:
        task()

    def drain(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bucket:
    """A backend in memory whose objects carry the world's time."""

    def __init__(self, world: World) -> None:
        self._inner: Backend = ObstoreBackend(MemoryStore(), "memory")
        self._world = world
        self.modified: dict[str, float] = {}

    def put(self, key: str, data: Data, *, create: bool) -> None:
        self._world.request()
        self._inner.put(key, data, create=create)
        self.modified[key] = self._world.now

    def get(self, key: str, span: tuple[int, int] | None = None) -> memoryview:
        self._world.request()
        return self._inner.get(key, span)

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        self._world.request()
        return self._inner.stream(key, start)

    def size(self, key: str) -> int | None:
        self._world.request()
        return self._inner.size(key)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        self._world.request()
        for info in list(self._inner.list(prefix)):
            yield replace(info, modified=datetime.fromtimestamp(self.modified[info.key], tz=UTC))

    def delete(self, keys: Sequence[str]) -> None:
        started = self._world.now
        self._world.request()
        if self._world.now > started + REQUEST_SECONDS:
            raise StorageUnavailableError("the request took too long and was given up")
        self._inner.delete(keys)


class Patience(Cancellation):
    """Lets the world's time pass instead of ours."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def pause(self, seconds: float) -> None:
        self._world.now += seconds


class World:
    """The bucket, the versions that the cluster knows, and the actors."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.bucket = Bucket(self)
        self.versions: dict[str, str] = {}
        """Digests by dataset version, as the cluster has them."""
        self.pinned: set[str] = set()
        """Digests that runs under way have pinned."""
        self.interruptions: deque[tuple[int, Callable[[], None]]] = deque()
        self.deleted = 0
        self._depth = 0
        self._folder = folder
        self._trees = 0
        self.store = CollectorStore(
            self.bucket,
            retry=RetryPolicy(first_delay=1, longest_delay=1, elapsed=0),
            cancellation=Patience(self),
        )

    def request(self) -> None:
        """A request is about to take effect: perhaps something comes before it."""
        if not self.interruptions or self._depth > DEEPEST:
            return
        left, action = self.interruptions[0]
        if left > 1:
            self.interruptions[0] = (left - 1, action)
            return
        self.interruptions.popleft()
        self._depth += 1
        try:
            action()
        finally:
            self._depth -= 1

    def upload(self, tree: dict[bytes, bytes], *, based: bool) -> None:
        """Upload and commit, as a job and the operator do; a crash leaves what it leaves."""
        self._trees += 1
        source = make_tree(self._folder / str(self._trees), dict(tree))
        base = list(self.versions.values())[-2:] if based else []
        try:
            version = snapshot(self.store, source, base=base, concurrency=1)
            self.request()  # the operator takes its time
            self.versions[version.digest] = version.digest
        except (Crash, StorageError):
            pass
        finally:
            shutil.rmtree(source)

    def collect(self, **settings: bool) -> Report | None:
        """One collection, to its end or its crash."""
        try:
            report = collect(
                self.store,
                lambda: Roots(frozenset(self.versions.values()) | frozenset(self.pinned)),
                Settings(owner="cluster", grace=GRACE, **settings),
                clock=lambda: self.now,
            )
        except (Crash, StorageError):
            return None
        self.deleted += report.deleted.objects
        return report

    def crash(self) -> None:
        """End the actor whose request this is."""
        raise Crash

    def damaged(self) -> list[str]:
        """Versions and pins of which a byte is missing."""
        found = []
        for digest in {*self.versions.values(), *self.pinned}:
            try:
                if list(examine(self.store, digest, concurrency=1)):
                    found.append(digest)
            except StorageError as error:
                found.append(str(error))
        return found


@contextmanager
def made_deterministic(world: World) -> Iterator[None]:
    """Pools run at once, files become segments early, and uploads wait by the world's clock."""
    before = (
        snapshot_module.TransferPool,
        snapshot_module.SMALL_FILE_BYTES,
        snapshot_module.wait_for_sweeps,
        verify_module.TransferPool,
    )
    snapshot_module.TransferPool = verify_module.TransferPool = InlinePool  # type: ignore[assignment,misc]
    snapshot_module.SMALL_FILE_BYTES = 10  # type: ignore[misc]
    snapshot_module.wait_for_sweeps = (  # type: ignore[assignment]
        lambda store: sweeps.wait_for_sweeps(store, clock=lambda: world.now)
    )
    try:
        yield
    finally:
        (
            snapshot_module.TransferPool,
            snapshot_module.SMALL_FILE_BYTES,  # type: ignore[misc]
            snapshot_module.wait_for_sweeps,
            verify_module.TransferPool,  # type: ignore[misc]
        ) = before
