"""When the `if` of a job is told, what it sees, and what becomes of the job."""

import pytest

from gradient_operator.engine.actions import CreatePod
from gradient_operator.engine.condition import result
from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, RunPhase
from gradient_operator.engine.planner import plan
from tests.builders import make_observation, make_pod, make_workflow, running

NOW = 1_000.0
P = JobPhase


def chain(text):
    """`a` with a string, then `b` with this `if`, then `c`."""
    builder = make_workflow(inputs={"mode": {"type": "string"}}).job("a").makes("o", "string")
    return builder.job("b").needs("a").put("if", text).job("c").needs("b").compile()


def after(text, a=P.SUCCEEDED, *, value=None, **changes):
    outputs = {"o": value} if isinstance(value, OutputRecord) else {}
    if isinstance(value, str):
        outputs = {"o": OutputRecord(value=value)}
    ledger = {"a": JobRecord(a, 1, outputs=outputs), **changes.pop("ledger", {})}
    return plan(make_observation(chain(text), ledger=ledger, **changes), NOW)


class TestValue:
    @pytest.mark.parametrize(
        ("text", "value", "runs"),
        [
            ("double(needs.a.outputs.o) > 0.9", "0.95", True),
            ("double(needs.a.outputs.o) > 0.9", "0.95\n", True),
            ("double(needs.a.outputs.o) > 0.9", "0.5", False),
            ("needs.a.outputs.o == 'good'", "good\r\n", True),
            ("needs.a.outputs.o == 'good'", "good\n\n", True),
            ("needs.a.outputs.o == 'good'", " good", False),
            ("needs.a.outputs.o == ''", None, True),
            ("needs.a.result == 'success'", None, True),
            ("inputs.mode == ''", None, True),
            ("false", None, False),
        ],
    )
    def test_a_job_runs_if_it_holds_and_is_skipped_if_not(self, text, value, runs):
        found = after(text, value=value)
        assert found.actions == ((CreatePod("b", 1),) if runs else ())
        assert found.ledger["b"].phase is (P.PENDING if runs else P.SKIPPED)

    def test_what_is_skipped_fails_nothing_and_who_needs_it_is_skipped_too(self):
        found = after("false")
        assert (found.ledger["b"].reason, found.ledger["c"].phase) == ("ConditionFalse", P.SKIPPED)
        assert found.ledger["c"].message == "b was skipped"
        assert found.phase is RunPhase.SUCCEEDED

    def test_it_is_told_once_its_needs_have_ended_and_not_before(self):
        pod = make_pod("a", main=running())
        ledger = {"a": JobRecord(P.RUNNING, 1)}
        found = plan(make_observation(chain("false"), pod, ledger=ledger), NOW)
        assert found.ledger["b"].phase is P.PENDING

    def test_a_retry_is_not_asked_again(self):
        failed = JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW - 1)
        assert after("false", ledger={"b": failed}).actions == (CreatePod("b", 2),)

    def test_an_error_fails_the_job_with_its_words(self):
        found = after("double(needs.a.outputs.o) > 0.9", value="abc")
        record = found.ledger["b"]
        assert (record.phase, record.reason) == (P.FAILED, "ConditionError")
        assert record.message == "its `if` cannot be told: cannot convert this text to double"
        assert (found.ledger["c"].phase, found.phase) == (P.OMITTED, RunPhase.FAILED)

    def test_a_string_that_the_operator_does_not_hold_is_too_long(self):
        found = after("needs.a.outputs.o == 'x'", value=OutputRecord(ref="runs/x/result.json"))
        assert found.ledger["b"].phase is P.FAILED
        assert "a.outputs.o is too long for a condition" in found.ledger["b"].message

    def test_one_that_is_not_asked_for_may_be_long(self):
        found = after("needs.a.result == 'success'", value=OutputRecord(ref="runs/x/result.json"))
        assert found.actions == (CreatePod("b", 1),)

    def test_a_model_is_registered_only_if_it_holds(self):
        builder = make_workflow().job("a").makes("o", "string")
        builder.job("m").needs("a").uses("create-model@v1", name="m", type="Custom")
        builder.takes("model", {"type": "dataset", "with": {"ref": "d"}})
        builder.put("if", "double(needs.a.outputs.o) > 0.9")
        ledger = {"a": JobRecord(P.SUCCEEDED, 1, outputs={"o": OutputRecord(value="0.1")})}
        found = plan(make_observation(builder.compile(), ledger=ledger), NOW)
        assert (found.actions, found.ledger["m"].phase) == ((), P.SKIPPED)


class TestStatus:
    @pytest.mark.parametrize(
        ("text", "a", "phase"),
        [
            ("true", P.FAILED, P.OMITTED),
            ("needs.a.result == 'failure'", P.FAILED, P.OMITTED),
            ("true", P.SKIPPED, P.SKIPPED),
            ("success()", P.FAILED, P.SKIPPED),
            ("failure()", P.SUCCEEDED, P.SKIPPED),
            ("failure()", P.FAILED, P.PENDING),
            ("always()", P.FAILED, P.PENDING),
            ("always()", P.SKIPPED, P.PENDING),
            ("always()", P.OMITTED, P.PENDING),
            ("always()", P.CANCELLED, P.PENDING),
            ("!success()", P.SKIPPED, P.PENDING),
            ("failure()", P.SKIPPED, P.SKIPPED),
            ("failure()", P.CANCELLED, P.SKIPPED),
            ("cancelled()", P.CANCELLED, P.SKIPPED),
            ("always() && needs.a.result == 'failure'", P.FAILED, P.PENDING),
            ("always() && needs.a.result == 'skipped'", P.OMITTED, P.PENDING),
            ("always() && needs.a.result == 'cancelled'", P.CANCELLED, P.PENDING),
        ],
    )
    def test_without_a_status_function_all_needs_must_have_ended_well(self, text, a, phase):
        assert after(text, a).ledger["b"].phase is phase

    def test_a_failure_further_up_counts(self):
        builder = make_workflow().job("a").job("b").needs("a").job("c").needs("b")
        workflow = builder.put("if", "failure()").compile()
        found = plan(make_observation(workflow, ledger={"a": JobRecord(P.FAILED, 1)}), NOW)
        assert (found.ledger["b"].phase, found.actions) == (P.OMITTED, (CreatePod("c", 1),))

    def test_it_waits_for_all_needs_even_if_one_has_failed(self):
        builder = make_workflow().job("a").job("x").job("b").needs("a", "x")
        workflow = builder.put("if", "always()").compile()
        ledger = {"a": JobRecord(P.FAILED, 1), "x": JobRecord(P.RUNNING, 1)}
        found = plan(make_observation(workflow, make_pod("x", main=running()), ledger=ledger), NOW)
        assert (found.ledger["b"].phase, found.actions) == (P.PENDING, ())

    def test_it_waits_for_a_source_behind_a_need_that_was_omitted_early(self):
        builder = make_workflow().job("slow").makes("o", "string").job("bad")
        builder.job("mid").needs("slow", "bad").job("end").needs("mid").put("if", "always()")
        workflow = builder.takes("i", "slow.outputs.o").compile()
        ledger = {"slow": JobRecord(P.RUNNING, 1), "bad": JobRecord(P.FAILED, 1)}
        pod = make_pod("slow", main=running())
        found = plan(make_observation(workflow, pod, ledger=ledger), NOW)
        assert (found.ledger["mid"].phase, found.ledger["end"].phase) == (P.OMITTED, P.PENDING)


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ([P.SUCCEEDED], "success"),
        ([P.SUCCEEDED, P.FAILED, P.CANCELLED], "failure"),
        ([P.SUCCEEDED, P.CANCELLED], "cancelled"),
        ([P.SUCCEEDED, P.SKIPPED], "success"),
        ([P.SKIPPED, P.OMITTED], "skipped"),
    ],
)
def test_the_result_of_a_matrix_is_its_worst(phases, said):
    assert result(phases) == said
