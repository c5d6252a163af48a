"""An attempt that runs longer than it may: when that is, and what becomes of it."""

import pytest

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.actions import AbortUpload, DeletePod
from gradient_operator.engine.model import (
    FailureClass,
    JobPhase,
    JobRecord,
    OutputRecord,
    RunPhase,
    UploadResult,
)
from gradient_operator.engine.planner import plan
from tests.builders import (
    DIGEST,
    ContainerRecord,
    ended,
    make_observation,
    make_pod,
    make_workflow,
    running,
    waiting,
)

P = JobPhase
STARTED = 10.0
DUE = STARTED + 120.0


def limited(**fields):
    return make_workflow().job("a", **{"timeout-minutes": 2, **fields}).makes("o", "dataset", "d")


def pod(**changes):
    return make_pod(**{"has_uploader": True, "uploader": running(), "main": running(), **changes})


def stopped(code=143, *, at=DUE + 5, **changes):
    main = ContainerRecord(started_at=STARTED, finished_at=at, exit_code=code)
    return pod(main=main, deletion_at=DUE + 30, deletion_grace=30, **changes)


def look(seen, now, workflow=None, **changes):
    ledger = {"a": JobRecord(P.RUNNING, 1)}
    workflow = workflow or limited().compile()
    return plan(make_observation(workflow, seen, ledger=ledger, **changes), now)


class TestWhen:
    def test_it_counts_from_the_start_of_main_and_the_plan_wakes_up_for_it(self):
        found = look(pod(), DUE - 1)
        assert (found.actions, found.wake_at) == ((), DUE)

    @pytest.mark.parametrize("main", [None, waiting()])
    def test_queueing_pulling_and_fetching_do_not_count(self, main):
        found = look(pod(main=main, uploader=None), 10_000.0)
        assert found.ledger["a"].phase is P.STARTING
        assert "TimedOut" not in {record.reason for record in found.ledger.values()}

    def test_the_upload_does_not_count(self):
        found = look(pod(main=ended(0, at=DUE - 1)), DUE + 1)
        assert (found.ledger["a"].phase, found.actions) == (P.UPLOADING, ())

    def test_a_job_that_ended_late_by_itself_has_ended_as_it_says(self):
        """The operator was away: nobody stopped it, and its work is done."""
        whole = pod(phase="Succeeded", main=ended(0, at=DUE + 60), uploader=ended(0, at=DUE + 70))
        results = {whole.uid: UploadResult(outputs={"o": OutputRecord(digest=DIGEST)})}
        found = look(whole, DUE + 80, results=results, committed=frozenset({whole.uid}))
        assert found.ledger["a"].phase is P.SUCCEEDED


class TestStop:
    def test_its_pod_is_stopped_with_grace_and_it_says_so(self):
        found = look(pod(), DUE)
        assert found.actions == (DeletePod("w-a-1-hash", "uid-a-1", 30),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.RUNNING, "TimedOut")
        assert found.ledger["a"].message == "it ran longer than its timeout-minutes: 2"

    def test_it_fails_once_nothing_of_it_runs(self):
        found = look(stopped(phase="Failed", uploader=ended(143)), DUE + 9)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.FAILED, "TimedOut")
        assert found.phase is RunPhase.FAILED
        assert [failure.kind for _, failure in found.failures] == [FailureClass.TIMEOUT]

    @pytest.mark.parametrize("code", [0, 1, 143, 137])
    def test_however_it_ended_when_it_was_told_to_nothing_of_it_becomes_visible(self, code):
        seen = stopped(code, phase="Succeeded", uploader=ended(0, at=DUE + 8))
        results = {seen.uid: UploadResult(outputs={"o": OutputRecord(digest=DIGEST)})}
        found = look(seen, DUE + 9, results=results)
        assert (found.ledger["a"].reason, found.actions) == ("TimedOut", ())
        assert found.ledger["a"].outputs == {}

    def test_a_node_whose_clock_is_behind_changes_nothing(self):
        seen = stopped(at=DUE - 10, phase="Failed", uploader=ended(143))
        ledger = {"a": JobRecord(P.RUNNING, 1, reason="TimedOut")}
        found = plan(make_observation(limited().compile(), seen, ledger=ledger), DUE + 9)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.FAILED, "TimedOut")

    def test_the_next_attempt_is_judged_by_itself(self):
        """It was made before a crash; the ledger still tells of the one before."""
        seen = stopped(at=DUE - 60, attempt=2, phase="Failed", uploader=ended(143))
        ledger = {"a": JobRecord(P.PENDING, 1, reason="TimedOut", retry_at=0.0)}
        found = plan(make_observation(limited().compile(), seen, ledger=ledger), DUE)
        assert found.ledger["a"].reason == "PodDeleted"

    def test_its_upload_is_told_to_stop_and_not_waited_for(self):
        found = look(stopped(0), DUE + 9)
        assert found.actions == (AbortUpload("a", "uid-a-1"),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.FAILED, "TimedOut")

    def test_a_node_that_does_not_answer_holds_it_up_for_a_while_only(self):
        seen = pod(deletion_at=DUE + 30, deletion_grace=30)
        assert look(seen, DUE + 40).wake_at == DUE + 150
        assert look(seen, DUE + 151).ledger["a"].phase is P.FAILED

    def test_it_counts_as_the_jobs_own_failure(self):
        seen = stopped(phase="Failed", uploader=ended(143))
        policy = Policy(infra_retries=3, retries=0)
        assert look(seen, DUE + 9, policy=policy).ledger["a"].phase is P.FAILED
        again = look(seen, DUE + 9, limited(retries=1).compile(), policy=policy).ledger["a"]
        assert (again.phase, again.user_failures, again.infra_failures) == (P.PENDING, 1, 0)

    def test_the_same_plan_comes_out_after_a_restart(self):
        assert look(pod(), DUE + 500).actions == look(pod(), DUE).actions
