"""A suspended run: what goes on, what stands still, and what the clocks make of it."""

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.engine.planner import plan
from gradient_operator.engine.suspension import Suspension, message
from tests.builders import make_observation, make_pod, make_workflow, running, succeeded_pod

P = JobPhase


def observe(*pods, **changes):
    workflow = make_workflow().job("a").job("b").job("c").needs("a").compile()
    return make_observation(workflow, *pods, **{"suspended": True, **changes})


def test_what_runs_goes_on_and_nothing_new_starts():
    seen = observe(make_pod(main=running()), ledger={"a": JobRecord(P.RUNNING, 1)})
    found = plan(seen, 20.0)
    assert found.actions == ()
    assert found.ledger["a"].phase is P.RUNNING
    assert (found.ledger["b"].reason, found.ledger["b"].ready_at) == ("Suspended", None)
    assert found.message.startswith("suspended: no job starts until")
    assert found.message.endswith("1 under way goes on")
    found = plan(observe(succeeded_pod(), ledger=found.ledger), 21.0)
    assert (found.ledger["a"].phase, found.ledger["c"].reason) == (P.SUCCEEDED, "Suspended")
    assert found.phase is RunPhase.RUNNING


def test_afterwards_it_goes_on_where_it_was_and_its_wait_begins_anew():
    ledger = {"a": JobRecord(P.SUCCEEDED, 1), "b": JobRecord(reason="Suspended")}
    policy = Policy.model_validate({"timeouts": {"waitingMinutes": 1}})
    found = plan(observe(ledger=ledger, suspended=False, policy=policy), 5_000.0)
    assert {action.job for action in found.actions} == {"b", "c"}
    assert found.ledger["b"].ready_at == 5_000.0
    assert found.ledger["b"].reason is None


def test_a_retry_waits_too_and_keeps_what_it_says_of_the_failure():
    record = JobRecord(attempt=1, retry_at=10.0, reason="Evicted", message="it was evicted")
    found = plan(observe(ledger={"a": record}), 11.0)
    assert found.ledger["a"].message == "it was evicted"
    assert all(action.job != "a" for action in found.actions)


def test_a_suspended_run_can_be_cancelled():
    assert plan(observe(cancel=True), 5.0).phase is RunPhase.CANCELLED


def test_the_seconds_add_up_over_several_pauses():
    found = Suspension().seen(suspended=True, now=10.0)
    assert found.seen(suspended=True, now=15.0) == found
    assert found.total(15.0) == 5.0
    found = found.seen(suspended=False, now=20.0)
    assert found == Suspension(None, 10.0)
    assert found.seen(suspended=False, now=90.0) == found
    assert found.seen(suspended=True, now=100.0).total(103.0) == 13.0


def test_the_sentence_counts_what_is_under_way():
    going = {name: JobRecord(P.RUNNING, 1) for name in "ab"}
    assert message(going).endswith("2 under way go on")
    assert "under way" not in message({"a": JobRecord()})
