"""Which ready jobs of a run start now, and what the others say."""

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import JobPhase, JobRecord, Places
from gradient_operator.engine.planner import plan
from tests.builders import make_observation, make_pod, make_workflow, running, succeeded_pod

P = JobPhase
TOLD = {"C4": ("NamespaceLimit", "number 1 of 4 in the line")}


def flat(*names, machine="C4"):
    builder = make_workflow()
    for name in names:
        builder.job(name).on(machine)
    return builder.compile()


def starts(found):
    return [action.job for action in found.actions]


def limited(most):
    return Policy.model_validate({"maxParallel": most})


def test_max_parallel_holds_back_the_later_jobs_and_the_first_of_them_says_so():
    found = plan(make_observation(flat(*"abcd"), policy=limited(2)), 5.0)
    assert starts(found) == ["a", "b"]
    assert [found.ledger[name].reason for name in "cd"] == ["RunLimit", "RunLimit"]
    assert "policy.maxParallel" in found.ledger["c"].message
    assert found.ledger["d"].message is None
    assert found.ledger["d"].ready_at == 5.0


def test_a_place_that_a_later_job_frees_is_taken_in_the_same_look():
    pods = succeeded_pod("d"), make_pod("c", main=running())
    ledger = {"c": JobRecord(P.RUNNING, 1), "d": JobRecord(P.RUNNING, 1)}
    found = plan(make_observation(flat(*"abcd"), *pods, policy=limited(2), ledger=ledger), 5.0)
    assert starts(found) == ["a"]


def test_a_job_between_two_attempts_holds_no_place():
    ledger = {"a": JobRecord(P.PENDING, 1, retry_at=60.0)}
    found = plan(make_observation(flat(*"ab"), policy=limited(1), ledger=ledger), 5.0)
    assert starts(found) == ["b"]


def test_max_parallel_counts_all_jobs_and_that_of_a_matrix_its_own():
    strategy = {"matrix": {"x": [1, 2, 3]}, "max-parallel": 2}
    workflow = make_workflow().job("m", strategy=strategy).job("z").compile()
    found = plan(make_observation(workflow, policy=limited(3)), 5.0)
    assert starts(found) == ["m-1", "m-2", "z"]
    assert found.ledger["m-3"].reason == "MaxParallel"
    found = plan(make_observation(workflow, policy=limited(1)), 5.0)
    assert starts(found) == ["m-1"]


def test_jobs_without_a_place_outside_the_run_are_wanted_and_say_what_they_wait_for():
    places = Places(given=frozenset("b"), told=TOLD)
    found = plan(make_observation(flat(*"abc"), places=places), 5.0)
    assert starts(found) == ["b"]
    assert found.wants == (("a", "C4"), ("c", "C4"))
    assert (found.ledger["a"].reason, found.ledger["a"].message) == TOLD["C4"]
    assert (found.ledger["c"].reason, found.ledger["c"].message) == ("NamespaceLimit", None)
    assert found.message == "job a waits: number 1 of 4 in the line"


def test_no_more_is_wanted_than_the_run_may_start():
    found = plan(make_observation(flat(*"abcd"), places=Places(), policy=limited(2)), 5.0)
    assert [job for job, _ in found.wants] == ["a", "b"]


def test_a_cancelled_or_suspended_run_wants_nothing():
    for change in ({"cancel": True}, {"suspended": True}):
        found = plan(make_observation(flat(*"ab"), places=Places(), **change), 5.0)
        assert (found.wants, starts(found)) == ((), [])


def test_planning_again_adds_nothing():
    seen = make_observation(flat(*"abc"), policy=limited(1))
    found = plan(seen, 5.0)
    pod = make_pod("a", created_at=5.0)
    again = plan(make_observation(flat(*"abc"), pod, policy=limited(1), ledger=found.ledger), 6.0)
    assert starts(again) == []
    assert again.ledger["b"] == found.ledger["b"]
