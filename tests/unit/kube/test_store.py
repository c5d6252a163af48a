"""Single rules of the store; `tests/property/kube/test_store.py` proves how they work together."""

from dataclasses import dataclass, field, replace

import pytest

from gradient_operator.kube.store import ASSUMPTION_LIFE, TOMBSTONE_LIFE, Store

KEY = ("ns", "a")


@dataclass(frozen=True)
class Record:
    uid: str = "u1"
    state: str = ""
    resource_version: str = field(default="1", compare=False)
    namespace: str = "ns"
    name: str = "a"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def store(clock, changes):
    return Store(lambda old, new: changes.append((old, new)), clock=clock)


def test_an_older_state_never_replaces_a_newer_one(store):
    store.observe(Record(state="new", resource_version="10"))
    store.observe(Record(state="old", resource_version="9"))
    store.assume(Record(state="old", resource_version="9"))
    assert store.items[KEY].state == "new"


def test_versions_that_are_no_integers_come_in_the_order_of_the_watch(store):
    store.observe(Record(state="first", resource_version="b"))
    store.observe(Record(state="second", resource_version="a"))
    assert store.items[KEY].state == "second"


def test_a_late_answer_makes_no_ghost_though_versions_cannot_be_compared(store, clock):
    created = Record(resource_version="x")
    store.observe(created)
    store.remove(KEY, "u1")
    store.assume(created)
    assert not store.items
    clock.now = TOMBSTONE_LIFE
    store.expire()
    store.assume(created)  # nobody can know any more; it will not be confirmed
    assert store.items
    clock.now += ASSUMPTION_LIFE
    store.expire()
    assert not store.items


def test_an_object_that_came_back_into_view_takes_answers_again(store):
    store.observe(Record(resource_version="1"))
    store.remove(KEY, "u1")  # it lost the selected label
    store.observe(Record(resource_version="3"))
    store.assume(Record(state="ours", resource_version="4"))
    assert store.items[KEY].state == "ours"


def test_an_answer_for_what_was_never_seen_is_no_ghost_if_the_watch_is_past_it(store):
    """Created and deleted within a gap of the watch, which then lists without it."""
    store.retain(set(), "20")
    store.assume(Record(resource_version="19"))
    assert not store.items
    store.assume(Record(resource_version="21"))
    assert store.items


def test_what_only_we_know_can_be_marked_on_the_version_that_is_shown(store, clock, changes):
    shown = Record(resource_version="10")
    store.observe(shown)
    store.advance("15")
    marked = replace(shown, state="deleting")
    store.assume(marked)
    assert store.items[KEY] == marked
    clock.now = ASSUMPTION_LIFE
    store.expire()
    assert store.items[KEY] == shown
    assert changes == [(None, shown), (shown, marked), (marked, shown)]


def test_an_assumed_deletion_that_does_not_come_true_ends(store, clock, changes):
    shown = Record(resource_version="10")
    store.observe(shown)
    store.assume_deleted(shown)
    later = replace(shown, state="finalizing", resource_version="11")
    store.observe(later)  # a finalizer keeps it
    store.assume(replace(shown, resource_version="12"))  # an answer to what we wrote before
    assert not store.items
    clock.now = ASSUMPTION_LIFE
    store.expire()
    assert store.items == {KEY: later}
    assert changes == [(None, shown), (shown, None), (None, later)]


def test_a_deletion_that_is_assumed_of_another_object_changes_nothing(store):
    store.observe(Record())
    store.assume_deleted(Record(uid="another"))
    assert store.items


def test_a_deletion_of_a_namesake_that_is_replaced_already_changes_nothing(store, changes):
    store.observe(Record(resource_version="1"))
    store.assume(Record(uid="u2", resource_version="3"))
    store.remove(KEY, "u1")
    assert store.items[KEY].uid == "u2"
    store.observe(Record(uid="u2", resource_version="3"))
    assert [(old and old.uid, new and new.uid) for old, new in changes] == [
        (None, "u1"),
        ("u1", None),
        (None, "u2"),
    ]


def test_an_answer_about_a_replaced_namesake_is_late_for_good(store):
    store.observe(Record(resource_version="x"))
    store.assume(Record(uid="u2", resource_version="y"))
    store.assume(Record(resource_version="z"))
    assert store.items[KEY].uid == "u2"


def test_a_list_that_is_older_than_an_assumption_does_not_end_it(store):
    store.assume(Record(resource_version="30"))
    store.retain(set(), "29")
    assert store.items
    store.retain(set(), "30")
    assert not store.items


def test_a_list_confirms_an_assumed_deletion(store, clock, changes):
    store.observe(Record())
    store.assume_deleted(Record())
    store.retain(set(), "5")
    clock.now = ASSUMPTION_LIFE
    store.expire()
    assert not store.items
    assert len(changes) == 2


def test_a_newer_version_without_a_visible_change_is_kept_but_not_told(store, changes):
    store.observe(Record(resource_version="1"))
    store.observe(Record(resource_version="2"))
    assert store.items[KEY].resource_version == "2"
    assert len(changes) == 1


def test_the_items_cannot_be_changed_from_outside(store):
    with pytest.raises(TypeError):
        store.items[KEY] = Record()
