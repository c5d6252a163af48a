"""The reflector's store against an API server whose news and answers arrive late and unordered."""

from collections import deque
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gradient_operator.kube.store import ASSUMPTION_LIFE, Store

NAMES = st.sampled_from("abc")


@dataclass(frozen=True)
class Record:
    uid: str
    name: str
    state: int
    resource_version: str = field(compare=False)
    namespace: str = "ns"


class StoreMachine(RuleBasedStateMachine):
    """`server` is the truth, `news` what the watch has not delivered, `answers` what we wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.version = 1
        self.server: dict[str, Record] = {}
        self.news: deque[tuple[str, Record]] = deque()
        self.answers: list[Record] = []
        self.mirror: dict[str, Record] = {}
        self.buried: set[str] = set()
        self.store: Store[Record] = Store(self.on_change, clock=lambda: self.now)
        self.store.retain(set(), "1")

    def on_change(self, old: Record | None, new: Record | None) -> None:
        assert old != new, "told of a change that is none"
        name = (old or new).name  # type: ignore[union-attr]
        assert self.mirror.get(name) == old, "the old record was not the one shown"
        assert old is None or new is None or old.uid == new.uid
        if new is None:
            del self.mirror[name]
        else:
            assert new.uid not in self.buried, "a ghost"
            self.mirror[name] = new

    def write(self, name: str, state: int) -> Record:
        self.version += 1
        old = self.server.get(name)
        uid = old.uid if old else f"uid-{self.version}"
        record = Record(uid, name, state, str(self.version))
        self.server[name] = record
        self.news.append(("MODIFIED", record))
        return record

    @rule(name=NAMES, state=st.integers(0, 2))
    def another_writes(self, name: str, state: int) -> None:
        self.write(name, state)

    @rule(name=NAMES, state=st.integers(0, 2))
    def we_write_and_the_answer_is_late(self, name: str, state: int) -> None:
        self.answers.append(self.write(name, state))

    @rule(name=NAMES, state=st.integers(0, 2))
    def we_write(self, name: str, state: int) -> None:
        record = self.write(name, state)
        self.store.assume(record)
        assert self.store.items["ns", name] == record

    @precondition(lambda self: self.server)
    @rule(data=st.data(), ours=st.booleans())
    def an_object_is_deleted(self, data, ours: bool) -> None:  # noqa: FBT001 - drawn by name
        name = data.draw(st.sampled_from(sorted(self.server)))
        self.version += 1
        record = replace(self.server.pop(name), resource_version=str(self.version))
        self.news.append(("DELETED", record))
        if ours:
            self.store.assume_deleted(record)
            assert self.store.items.get(("ns", name), record).uid != record.uid or (
                name not in self.mirror
            )

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data) -> None:
        record = data.draw(st.sampled_from(self.answers))
        self.answers.remove(record)
        before = self.store.items.get(("ns", record.name))
        self.store.assume(record)
        after = self.store.items.get(("ns", record.name))
        if before is not None:
            assert after is not None
            assert int(after.resource_version) >= int(before.resource_version), "back in time"

    @precondition(lambda self: self.news)
    @rule(count=st.integers(1, 4))
    def news_arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.news))):
            kind, record = self.news.popleft()
            if kind == "DELETED":
                self.buried.add(record.uid)
                self.store.remove(("ns", record.name), record.uid)
            else:
                self.store.observe(record)
            self.store.advance(record.resource_version)

    @rule()
    def the_watch_breaks_and_everything_is_listed(self) -> None:
        self.buried |= {record.uid for kind, record in self.news if kind == "DELETED"}
        self.news.clear()
        for record in self.server.values():
            self.store.observe(record)
        self.store.retain({("ns", name) for name in self.server}, str(self.version))

    @rule(seconds=st.integers(1, 80))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.store.expire()

    @invariant()
    def what_was_told_is_what_is_shown(self) -> None:
        assert {key[1]: record for key, record in self.store.items.items()} == self.mirror

    def teardown(self) -> None:
        """When everything has arrived and time has passed, the store shows the truth."""
        for record in self.answers:
            self.store.assume(record)
        self.news_arrive(len(self.news)) if self.news else None
        for record in self.answers:
            self.store.assume(record)
        self.now += ASSUMPTION_LIFE
        self.store.expire()
        assert self.mirror == self.server


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
