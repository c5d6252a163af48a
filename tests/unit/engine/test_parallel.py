"""How many combinations run at once, and in which order they start."""

import pytest

from gradient_operator.engine.actions import CreatePod
from gradient_operator.engine.model import JobPhase, JobRecord
from gradient_operator.engine.planner import plan
from tests.builders import make_observation, make_pod, make_workflow, running, succeeded_pod

NOW = 1_000.0
P = JobPhase


def sweep(limit, **more):
    strategy = {"matrix": {"n": [1, 2, 3, 4]}, "max-parallel": limit, **more}
    return make_workflow().job("t").put("strategy", strategy).compile()


def look(workflow, *pods, **changes):
    return plan(make_observation(workflow, *pods, **changes), NOW)


@pytest.mark.parametrize("limit", [1, 2, 4, 9])
def test_the_first_ones_start(limit):
    found = look(sweep(limit))
    assert found.actions == tuple(CreatePod(f"t-{n}", 1) for n in range(1, 5))[:limit]


def test_the_others_say_what_they_wait_for():
    record = look(sweep(2)).ledger["t-3"]
    assert (record.phase, record.reason) == (P.PENDING, "MaxParallel")
    assert record.message == "2 of t run at once (max-parallel)"


def test_a_place_that_becomes_free_is_taken_in_the_same_look():
    ledger = {f"t-{n}": JobRecord(P.RUNNING, 1) for n in (2, 3)}
    found = look(sweep(2), succeeded_pod("t-2"), make_pod("t-3", main=running()), ledger=ledger)
    assert found.actions == (CreatePod("t-1", 1),)


def test_a_pod_that_the_ledger_does_not_know_yet_holds_its_place():
    found = look(sweep(2), make_pod("t-4"), make_pod("t-3"))
    assert found.actions == ()


def test_one_that_waits_for_its_next_attempt_holds_none():
    waits = JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW + 60)
    found = look(sweep(1), ledger={"t-1": waits})
    assert found.actions == (CreatePod("t-2", 1),)
    assert found.wake_at == NOW + 60


def test_the_next_attempt_waits_for_a_place_too():
    due = JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW - 1)
    ledger = {"t-1": due, "t-2": JobRecord(P.RUNNING, 1)}
    found = look(sweep(1), make_pod("t-2", main=running()), ledger=ledger)
    assert (found.actions, found.ledger["t-1"].reason) == ((), "MaxParallel")


def test_a_job_that_makes_no_pod_needs_no_place():
    builder = (
        make_workflow().job("m").uses("create-model@v1", name="m-${{ matrix.n }}", type="ONNX")
    )
    builder.takes("model", {"type": "dataset", "with": {"ref": "d"}})
    builder.put("strategy", {"matrix": {"n": [1, 2, 3]}, "max-parallel": 1})
    assert len(look(builder.compile()).actions) == 3
