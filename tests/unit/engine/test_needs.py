"""Who may start after a job that did not end well, and with which of its inputs."""

import pytest

from gradient_operator.engine.actions import CreatePod
from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, RunPhase
from gradient_operator.engine.planner import plan
from tests.builders import DIGEST, done_job, failed_pod, make_observation, make_workflow

NOW = 1_000.0
P = JobPhase
KINDS = ["dataset", "string", "volume"]


def look(builder, *pods, **changes):
    return plan(make_observation(builder.compile(), *pods, **changes), NOW)


class TestContinueOnError:
    def chain(self):
        return make_workflow().job("a", **{"continue-on-error": True}).job("b").needs("a")

    def test_the_failure_stays_in_the_record_and_the_run_goes_on(self):
        found = look(self.chain(), failed_pod("a"), ledger={"a": JobRecord(P.RUNNING, 1)})
        assert found.ledger["a"].phase is P.FAILED
        assert found.actions == (CreatePod("b", 1),)

    def test_the_run_succeeds_and_tells_of_it(self):
        failed = JobRecord(P.FAILED, 1, reason="ExitCode", message="exit code 1")
        found = look(self.chain(), ledger={"a": failed, "b": done_job()})
        assert found.phase is RunPhase.SUCCEEDED
        assert found.message == "job a failed: exit code 1 (continue-on-error)"

    def test_a_job_that_fails_for_good_still_fails_the_run(self):
        found = look(self.chain(), ledger={"a": JobRecord(P.FAILED), "b": JobRecord(P.FAILED)})
        assert found.phase is RunPhase.FAILED
        assert found.message.startswith("job b failed")

    @pytest.mark.parametrize(
        ("text", "phase"),
        [
            ("success()", P.PENDING),
            ("failure()", P.SKIPPED),
            ("always() && needs.a.result == 'failure'", P.PENDING),
            ("needs.a.result == 'failure'", P.PENDING),
        ],
    )
    def test_to_conditions_it_is_no_failure_though_its_result_is(self, text, phase):
        found = look(self.chain().put("if", text), ledger={"a": JobRecord(P.FAILED, 1)})
        assert found.ledger["b"].phase is phase

    @pytest.mark.parametrize("kind", KINDS)
    def test_who_takes_what_it_did_not_make_is_omitted_with_words(self, kind):
        builder = make_workflow().job("a", **{"continue-on-error": True})
        builder.makes("o", kind, "d" if kind == "dataset" else None)
        builder.job("b").needs("a").takes("i", "a.outputs.o").job("c").needs("a")
        found = look(builder, ledger={"a": JobRecord(P.FAILED, 1)})
        assert found.ledger["b"].phase is P.OMITTED
        assert found.ledger["b"].message == "it takes o of a, which failed and made none"
        assert found.actions == (CreatePod("c", 1),)


class TestRetries:
    @pytest.mark.parametrize(("own", "again"), [(2, True), (0, False), (None, True)])
    def test_those_of_the_job_win_over_the_policys(self, own, again):
        builder = make_workflow().job("a")
        if own is not None:
            builder.put("retries", own)
        changes = {"ledger": {"a": JobRecord(P.RUNNING, 1)}, "policy": {"retries": 1}}
        policy = make_observation(builder.compile()).policy.model_copy(update=changes.pop("policy"))
        found = look(builder, failed_pod("a"), policy=policy, **changes)
        assert found.ledger["a"].phase is (P.PENDING if again else P.FAILED)


class TestInputs:
    def test_what_is_left_of_a_matrix_is_taken(self):
        builder = make_workflow().job("t", **{"continue-on-error": True})
        builder.put("strategy", {"matrix": {"n": [1, 2]}}).makes(
            "o", "dataset", "d-${{ matrix.n }}"
        )
        builder.job("best").needs("t").takes("all", "t.outputs.o")
        made = {"o": OutputRecord(digest=DIGEST)}
        good = JobRecord(P.SUCCEEDED, 1, outputs=made)
        found = look(builder, ledger={"t-1": JobRecord(P.FAILED, 1), "t-2": good})
        assert found.actions == (CreatePod("best", 1),)
        found = look(builder, ledger=dict.fromkeys(("t-1", "t-2"), JobRecord(P.FAILED, 1)))
        assert found.ledger["best"].phase is P.OMITTED

    def test_always_does_not_bring_back_what_was_never_made(self):
        builder = make_workflow().job("a").makes("o", "dataset", "d").job("b").needs("a")
        builder.takes("i", "a.outputs.o").put("if", "always()")
        found = look(builder, ledger={"a": JobRecord(P.SKIPPED)})
        assert found.ledger["b"].phase is P.OMITTED
        assert found.ledger["b"].message == "it takes o of a, which was skipped and made none"

    def test_a_string_that_a_good_job_did_not_write_is_empty_as_ever(self):
        builder = make_workflow().job("a").makes("o", "string").job("b").needs("a")
        found = look(builder.takes("i", "a.outputs.o"), ledger={"a": done_job()})
        assert found.actions == (CreatePod("b", 1),)
