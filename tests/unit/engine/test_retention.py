"""What retention keeps, what it marks, and what it deletes when the grace is over."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gradient_operator.engine.retention import Policy, VersionFacts, decide

DAY = 86_400.0
NOW = 1_000 * DAY
LAST_TWO = Policy(keep_last=2, keep_tagged=True, keep_used_within=None, grace=DAY)
MONTH = Policy(keep_last=None, keep_tagged=True, keep_used_within=30 * DAY, grace=DAY)


def version(name, age, **facts):
    """A version made so many days ago."""
    return VersionFacts(name=name, created_at=NOW - age * DAY, **facts)


OLD = version("old", 90)
THREE = [version("new", 1), version("middle", 60), OLD]


def test_without_a_policy_nothing_goes_and_marks_are_taken_away():
    marked = replace(OLD, expires_at=NOW - DAY)
    assert decide([marked], None, now=NOW).marks == {"old": None}
    assert decide([marked], None, now=NOW).expired == ()
    assert decide(THREE, None, now=NOW).marks == {}


def test_a_version_is_marked_first_and_deleted_after_its_grace():
    first = decide(THREE, LAST_TWO, now=NOW)
    assert (first.marks, first.expired) == ({"old": NOW + DAY}, ())
    assert first.look_at == NOW + DAY
    marked = [*THREE[:2], replace(OLD, expires_at=NOW + DAY)]
    assert decide(marked, LAST_TWO, now=NOW + DAY / 2).expired == ()
    assert decide(marked, LAST_TWO, now=NOW + DAY).expired == ("old",)


def test_what_keeps_it_meanwhile_saves_it():
    for saved in (
        {"tagged": True},
        {"needed": True},
    ):
        marked = replace(OLD, expires_at=NOW - 1, **saved)
        found = decide([*THREE[:2], marked], LAST_TWO, now=NOW)
        assert (found.marks, found.expired) == ({"old": None}, ())


def test_tags_count_only_where_they_are_to():
    tagged = replace(OLD, tagged=True)
    strict = replace(LAST_TWO, keep_tagged=False)
    assert decide([*THREE[:2], tagged], LAST_TWO, now=NOW).marks == {}
    assert decide([*THREE[:2], tagged], strict, now=NOW).marks == {"old": NOW + DAY}


def test_use_counts_like_making():
    found = decide([*THREE, version("read", 90, used_at=NOW - 5 * DAY)], MONTH, now=NOW)
    assert set(found.marks) == {"middle", "old"}
    assert found.look_at == NOW + DAY
    quiet = decide([version("read", 90, used_at=NOW - 5 * DAY)], MONTH, now=NOW)
    assert quiet.look_at == NOW + 25 * DAY


facts = st.builds(
    VersionFacts,
    name=st.uuids().map(str),
    created_at=st.floats(0, NOW),
    tagged=st.booleans(),
    needed=st.booleans(),
    used_at=st.none() | st.floats(0, NOW),
    expires_at=st.none() | st.floats(0, 2 * NOW),
)
policies = st.builds(
    Policy,
    keep_last=st.none() | st.integers(1, 5),
    keep_tagged=st.booleans(),
    keep_used_within=st.none() | st.floats(0, NOW),
    grace=st.floats(0, NOW),
)


@given(st.lists(facts, max_size=12), st.none() | policies)
def test_only_what_was_marked_and_is_kept_by_nothing_is_deleted(versions, policy):
    found = decide(versions, policy, now=NOW)
    by_name = {each.name: each for each in versions}
    newest = sorted(versions, key=lambda each: (each.created_at, each.name))
    kept_last = {each.name for each in newest[-((policy and policy.keep_last) or 0) :]}
    for name in found.expired:
        each = by_name[name]
        assert policy is not None
        assert each.expires_at is not None
        assert each.expires_at <= NOW
        assert not each.needed
        assert not (policy.keep_tagged and each.tagged)
        assert policy.keep_last is None or name not in kept_last
    assert not set(found.expired) & set(found.marks)
