"""Whatever interleaves: no byte that somebody needs is collected, and what nobody needs goes."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gradient_operator.datasets.layout import BLOBS, MANIFESTS
from tests.property.datasets.bucket_world import GRACE, World, made_deterministic

contents = st.sampled_from([b"", b"a", b"bb", b"ccc", b"long content 1", b"long content 2"])
trees = st.dictionaries(st.sampled_from([b"p", b"q", b"r"]), contents, min_size=1, max_size=3)
pauses = st.sampled_from([1.0, 70.0, 250.0, GRACE / 8])
actions = st.one_of(
    st.tuples(st.just("collect")),
    st.tuples(st.just("upload"), trees, st.booleans()),
    st.tuples(st.just("forget")),
    st.tuples(st.just("crash")),
    st.tuples(st.just("wait"), pauses),
)
interruptions = st.lists(st.tuples(st.integers(1, 30), actions), max_size=4)
more = st.lists(st.tuples(st.integers(1, 12), actions), max_size=2)


class Collection(RuleBasedStateMachine):
    """Uploads, commits, deletions, crashes and collections, in and after each other."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="world-"))
        self.world = World(Path(folder))
        self.stack.enter_context(made_deterministic(self.world))

    def do(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("collect",):
                self.world.collect()
            case ("upload", tree, based):
                self.world.upload(tree, based=based)
            case ("forget",):
                if self.world.versions:
                    self.world.versions.pop(next(iter(self.world.versions)))
            case ("crash",):
                self.world.crash()
            case ("wait", seconds):
                self.world.now += seconds

    def run(self, action: tuple[Any, ...], interruptions: list[tuple[int, Any]]) -> None:
        for after, each in interruptions:
            self.world.interruptions.append((after, lambda each=each: self.do(each)))  # type: ignore[misc]
        self.do(action)
        self.world.interruptions.clear()

    @rule(tree=trees, based=st.booleans(), interruptions=interruptions)
    def upload(
        self, tree: dict[bytes, bytes], *, based: bool, interruptions: list[tuple[int, Any]]
    ) -> None:
        self.run(("upload", tree, based), interruptions)

    @rule(interruptions=interruptions)
    def collect(self, interruptions: list[tuple[int, Any]]) -> None:
        self.run(("collect",), interruptions)

    @rule(old=trees, new=st.none() | trees, after=st.integers(1, 9), more=more)
    def sweep_during_upload(
        self,
        old: dict[bytes, bytes],
        new: dict[bytes, bytes] | None,
        after: int,
        more: list[tuple[int, Any]],
    ) -> None:
        """What is due is wanted again, and swept while it is being uploaded."""
        self.make_due(old)
        self.run(("upload", new or old, False), [(after, ("collect",)), *more])

    @rule(old=trees, new=st.none() | trees, after=st.integers(10, 24), more=more)
    def upload_during_sweep(
        self,
        old: dict[bytes, bytes],
        new: dict[bytes, bytes] | None,
        after: int,
        more: list[tuple[int, Any]],
    ) -> None:
        """What is due is wanted again, and uploaded while it is being swept."""
        self.make_due(old)
        self.run(("collect",), [(after, ("upload", new or old, False)), *more])

    def make_due(self, tree: dict[bytes, bytes]) -> None:
        """A version that nobody needs any more, with both graces over."""
        before = set(self.world.versions)
        self.world.upload(tree, based=False)
        for digest in set(self.world.versions) - before:
            del self.world.versions[digest]
        self.world.now += GRACE + 1
        self.world.collect()
        self.world.now += GRACE + 1

    @rule()
    def forget(self) -> None:
        self.do(("forget",))

    @rule()
    def start_run(self) -> None:
        self.world.pinned |= set(list(self.world.versions)[:1])

    @rule()
    def end_run(self) -> None:
        if self.world.pinned:
            self.world.pinned.pop()

    @rule(seconds=st.sampled_from([1.0, GRACE / 2, GRACE + 1]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def let_all_graces_end(self) -> None:
        """What is unreachable goes: after its own grace, marked, and after the mark's."""
        for _ in range(2):
            self.world.now += GRACE + 1
            self.world.collect()

    @invariant()
    def every_byte_that_is_needed_is_there(self) -> None:
        assert self.world.damaged() == []

    def teardown(self) -> None:
        try:
            self.world.versions.clear()
            self.world.pinned.clear()
            for _ in range(2):
                self.world.now += GRACE + 1
                self.world.collect()
            left = [i.key for part in (*BLOBS, MANIFESTS) for i in self.world.store.list(part)]
            assert left == []
        finally:
            self.stack.close()


TestCollection = Collection.TestCase
TestCollection.settings = settings(
    max_examples=200,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
