"""Which jobs stop when another combination has failed, or when the run is cancelled."""

import pytest

from gradient_operator.engine.actions import CommitOutputs, CreatePod, DeletePod
from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, RunPhase, UploadResult
from gradient_operator.engine.planner import plan
from tests.builders import (
    DIGEST,
    ended,
    failed_pod,
    make_observation,
    make_pod,
    make_workflow,
    running,
    succeeded_pod,
)

NOW = 1_000.0
P = JobPhase


def sweep(*, strategy=None, **fields):
    builder = make_workflow().job("t", **fields)
    builder.put("strategy", {"matrix": {"n": [1, 2, 3]}, **(strategy or {})})
    return builder.makes("o", "dataset", "d-${{ matrix.n }}").job("end").needs("t")


def look(workflow, *pods, **changes):
    return plan(make_observation(workflow, *pods, **changes), NOW)


def phases(found):
    return [record.phase for record in found.ledger.values()]


def going(job):
    return make_pod(job, main=running(), uploader=running(), has_uploader=True)


def under_way(**changes):
    return {f"t-{n}": JobRecord(P.RUNNING, 1) for n in (1, 2, 3)} | changes


class TestFailFast:
    @pytest.mark.parametrize("bad", [1, 2, 3])
    def test_when_one_has_failed_the_others_stop_in_the_same_look(self, bad):
        pods = [failed_pod(f"t-{n}") if n == bad else going(f"t-{n}") for n in (1, 2, 3)]
        found = look(sweep().compile(), *pods, ledger=under_way())
        assert found.ledger[f"t-{bad}"].phase is P.FAILED
        others = [
            record for name, record in found.ledger.items() if name not in {f"t-{bad}", "end"}
        ]
        assert [(each.phase, each.reason) for each in others] == [(P.RUNNING, "Cancelling")] * 2
        assert sorted(act.name for act in found.actions if isinstance(act, DeletePod)) == sorted(
            f"w-t-{n}-1-hash" for n in (1, 2, 3) if n != bad
        )
        assert len(found.failures) == 1

    def test_those_that_wait_never_start_and_say_who_failed(self):
        ledger = {"t-1": JobRecord(P.RUNNING, 1)}
        found = look(sweep().compile(), failed_pod("t-1"), ledger=ledger)
        assert found.actions == ()
        assert phases(found) == [P.FAILED, P.CANCELLED, P.CANCELLED, P.OMITTED]
        assert (found.ledger["t-2"].reason, found.ledger["t-2"].message) == (
            "FailFast",
            "t-1 failed",
        )
        assert found.phase is RunPhase.FAILED

    def test_one_that_waits_for_its_next_attempt_does_not_start_it(self):
        waits = JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW + 5)
        found = look(sweep().compile(), failed_pod("t-1"), ledger=under_way(**{"t-2": waits}))
        assert found.ledger["t-2"].phase is P.CANCELLED

    def test_what_has_ended_well_is_kept(self):
        whole = succeeded_pod("t-2", has_uploader=True, uploader=ended(0))
        results = {whole.uid: UploadResult(outputs={"o": OutputRecord(digest=DIGEST)})}
        pods = [failed_pod("t-1"), whole, going("t-3")]
        found = look(sweep().compile(), *pods, ledger=under_way(), results=results)
        commits = [act for act in found.actions if isinstance(act, CommitOutputs)]
        assert [act.job for act in commits] == ["t-2"]

    def test_nothing_is_made_visible_of_one_that_ends_because_it_was_stopped(self):
        stopped = succeeded_pod(
            "t-2", has_uploader=True, uploader=ended(0), deletion_at=NOW, deletion_grace=30
        )
        results = {stopped.uid: UploadResult(outputs={"o": OutputRecord(digest=DIGEST)})}
        ledger = under_way(**{"t-1": JobRecord(P.FAILED, 1), "t-3": JobRecord(P.CANCELLED)})
        found = look(sweep().compile(), stopped, ledger=ledger, results=results)
        assert found.actions == ()
        assert found.ledger["t-2"].phase is P.CANCELLED

    def test_with_fail_fast_off_the_others_go_on(self):
        workflow = sweep(strategy={"fail-fast": False}).compile()
        found = look(workflow, failed_pod("t-1"), going("t-2"), going("t-3"), ledger=under_way())
        assert phases(found) == [P.FAILED, P.RUNNING, P.RUNNING, P.OMITTED]
        assert found.actions == ()

    def test_a_failure_that_is_borne_stops_nobody(self):
        workflow = sweep(**{"continue-on-error": True}).compile()
        found = look(workflow, failed_pod("t-1"), going("t-2"), going("t-3"), ledger=under_way())
        assert phases(found)[1:3] == [P.RUNNING, P.RUNNING]

    def test_one_that_is_tried_again_has_not_failed_yet(self):
        found = look(sweep(retries=1).compile(), failed_pod("t-1"), ledger=under_way())
        assert found.ledger["t-1"].phase is P.PENDING
        assert "FailFast" not in {record.reason for record in found.ledger.values()}

    def test_a_condition_that_cannot_be_told_counts_as_a_failure(self):
        builder = make_workflow().job("t").put("strategy", {"matrix": {"n": ["1", "x", "2"]}})
        found = look(builder.put("if", "int(matrix.n) > 0").compile())
        assert phases(found) == [P.CANCELLED, P.FAILED, P.CANCELLED]
        assert found.actions == ()


class TestCancel:
    def workflow(self, text):
        return make_workflow().job("a").job("b").needs("a").put("if", text).compile()

    @pytest.mark.parametrize("text", ["always()", "cancelled()", "cancelled() || success()"])
    def test_a_job_that_says_so_runs_after_a_cancelled_one(self, text):
        found = look(self.workflow(text), cancel=True)
        assert (phases(found), found.actions) == (
            [P.CANCELLED, P.PENDING],
            (CreatePod("b", 1),),
        )
        assert found.phase is RunPhase.RUNNING

    @pytest.mark.parametrize("text", ["success()", "failure()", "!cancelled()", "true"])
    def test_all_others_do_not(self, text):
        found = look(self.workflow(text), cancel=True)
        assert (phases(found), found.phase) == ([P.CANCELLED] * 2, RunPhase.CANCELLED)

    @pytest.mark.parametrize(("text", "goes_on"), [("always()", True), ("!cancelled()", False)])
    def test_one_that_runs_already_is_asked_again(self, text, goes_on):
        ledger = {"a": JobRecord(P.SUCCEEDED, 1), "b": JobRecord(P.RUNNING, 1)}
        pod = make_pod("b", main=running())
        found = look(self.workflow(text), pod, ledger=ledger, cancel=True)
        assert [type(act) for act in found.actions] == ([] if goes_on else [DeletePod])

    def test_it_waits_until_what_it_needs_has_stopped(self):
        ledger = {"a": JobRecord(P.RUNNING, 1)}
        pod = make_pod("a", main=running())
        found = look(self.workflow("always()"), pod, ledger=ledger, cancel=True)
        assert [type(act) for act in found.actions] == [DeletePod]
        assert found.ledger["b"].phase is P.PENDING

    def test_the_run_is_cancelled_once_that_has_ended(self):
        ledger = {"a": JobRecord(P.CANCELLED), "b": JobRecord(P.SUCCEEDED, 1)}
        found = look(self.workflow("always()"), ledger=ledger, cancel=True)
        assert found.phase is RunPhase.CANCELLED
