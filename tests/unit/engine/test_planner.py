"""The whole next step of a run, from what is recorded and what is seen."""

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.actions import AbortUpload, CreatePod, DeletePod
from gradient_operator.engine.model import FailureClass, JobPhase, JobRecord, OutputRecord, RunPhase
from gradient_operator.engine.planner import plan
from tests.builders import (
    diamond,
    done_job,
    ended,
    failed_pod,
    make_observation,
    make_pod,
    make_workflow,
    running,
    succeeded_pod,
    waiting,
)

NOW = 1_000.0
P = JobPhase


def look(workflow, *pods, now=NOW, **changes):
    return plan(make_observation(workflow, *pods, **changes), now)


def single(**fields):
    return make_workflow().job("a", **fields).compile()


def phases(found):
    return {name: record.phase for name, record in found.ledger.items()}


class TestOrder:
    def test_a_run_begins_with_the_jobs_that_need_nothing(self):
        found = look(diamond())
        assert found.actions == (CreatePod("a", 1),)
        assert found.ledger["a"].ready_at == NOW
        assert found.ledger["b"].ready_at is None

    def test_what_a_job_held_back_starts_in_the_same_look(self):
        found = look(diamond(), succeeded_pod("a"), ledger={"a": JobRecord(P.RUNNING, 1)})
        assert found.actions == (CreatePod("b", 1), CreatePod("c", 1))

    def test_a_job_waits_for_the_last_of_its_needs(self):
        ledger = {"a": done_job(), "b": done_job(), "c": JobRecord(P.RUNNING, 1)}
        assert look(diamond(), make_pod("c", main=running()), ledger=ledger).actions == ()

    def test_a_run_ends_when_all_jobs_have(self):
        found = look(diamond(), ledger={name: done_job() for name in "abcd"})
        assert (found.phase, found.actions, found.wake_at) == (RunPhase.SUCCEEDED, (), None)

    def test_what_needs_a_failed_job_is_omitted_and_the_rest_goes_on(self):
        ledger = {"a": done_job(), "c": JobRecord(P.RUNNING, 1)}
        found = look(diamond(), failed_pod("b"), make_pod("c", main=running()), ledger=ledger)
        assert phases(found) == {"a": P.SUCCEEDED, "b": P.FAILED, "c": P.RUNNING, "d": P.OMITTED}
        assert found.ledger["d"].message == "b failed"
        assert found.phase is RunPhase.RUNNING

    def test_omission_reaches_everything_behind(self):
        chain = make_workflow().job("a").job("b").needs("a").job("c").needs("b").compile()
        found = look(chain, failed_pod("a"))
        assert phases(found) == {"a": P.FAILED, "b": P.OMITTED, "c": P.OMITTED}
        assert found.phase is RunPhase.FAILED
        assert found.message == "job a failed: exit code 1"


class TestObserving:
    def test_a_pod_that_the_ledger_does_not_know_is_adopted(self):
        found = look(single(), make_pod(main=running(since=50)))
        record = found.ledger["a"]
        assert (record.phase, record.attempt, record.pod_uid) == (P.RUNNING, 1, "uid-a-1")
        assert (record.ready_at, record.started_at, record.node) == (1.0, 50.0, "cpu-1")
        assert found.actions == ()

    def test_a_retry_that_the_ledger_does_not_know_is_adopted(self):
        ledger = {"a": JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW + 99)}
        found = look(single(), failed_pod(attempt=1), make_pod(attempt=2), ledger=ledger)
        assert (found.ledger["a"].phase, found.ledger["a"].attempt) == (P.STARTING, 2)
        assert found.ledger["a"].retry_at is None

    def test_a_failure_and_its_retry_are_taken_up_in_one_look(self):
        ledger = {"a": JobRecord(P.RUNNING, 1)}
        pods = failed_pod(attempt=1), make_pod(attempt=2, main=running())
        found = look(single(), *pods, ledger=ledger, policy=Policy(retries=1))
        record = found.ledger["a"]
        assert (record.phase, record.attempt, record.user_failures) == (P.RUNNING, 2, 1)

    def test_a_ledger_that_is_two_steps_behind_follows_the_later_pod(self):
        ledger = {"a": JobRecord(P.RUNNING, 1, pod_uid="uid-a-1")}
        found = look(single(), make_pod(attempt=2, main=running()), ledger=ledger)
        record = found.ledger["a"]
        assert (record.phase, record.attempt, record.infra_failures) == (P.RUNNING, 2, 1)

    def test_why_a_pod_does_not_start_stands_in_the_record(self):
        pod = make_pod(node="", unschedulable="0/1 nodes are available: 1 Insufficient cpu.")
        found = look(single(), pod)
        assert found.ledger["a"].reason == "Unschedulable"
        assert found.message.startswith("job a waits: waits for room on a node")

    def test_a_reason_goes_when_its_cause_has_gone(self):
        ledger = {"a": JobRecord(P.STARTING, 1, reason="Unschedulable", message="no room")}
        found = look(single(), make_pod(main=running()), ledger=ledger)
        assert (found.ledger["a"].reason, found.ledger["a"].message) == (None, None)

    def test_a_final_job_is_left_alone(self):
        record = done_job(outputs={"s": OutputRecord(value="1")}, pod_uid="uid-a-1")
        assert look(single(), failed_pod(), ledger={"a": record}).ledger["a"] is record


class TestFailing:
    def test_a_failure_is_told_once(self):
        found = look(single(), failed_pod(code=3))
        assert [(job, each.exit_code) for job, each in found.failures] == [("a", 3)]
        assert look(single(), failed_pod(), ledger=found.ledger).failures == ()

    def test_a_retry_waits_for_its_time(self):
        policy = Policy(retries=1)
        found = look(single(), failed_pod(), policy=policy)
        assert (found.ledger["a"].phase, found.wake_at) == (P.PENDING, NOW + 1)
        again = look(single(), failed_pod(), policy=policy, ledger=found.ledger)
        assert (again.actions, again.wake_at) == ((), NOW + 1)

    def test_a_retry_gets_a_pod_of_its_own(self):
        ledger = {"a": JobRecord(P.PENDING, 1, user_failures=1, retry_at=NOW)}
        found = look(single(), failed_pod(), ledger=ledger, policy=Policy(retries=1))
        assert found.actions == (CreatePod("a", 2),)

    def test_the_earliest_retry_wakes(self):
        workflow = make_workflow().job("a").job("b").compile()
        ledger = {
            "a": JobRecord(P.PENDING, 1, retry_at=NOW + 9),
            "b": JobRecord(P.PENDING, 1, retry_at=NOW + 5),
        }
        assert look(workflow, ledger=ledger).wake_at == NOW + 5

    def test_a_pod_that_is_gone_without_a_result_is_lost_and_not_simply_run_again(self):
        ledger = {"a": JobRecord(P.RUNNING, 1, pod="w-a-1")}
        found = look(single(), ledger=ledger)
        assert [each.kind for _, each in found.failures] == [FailureClass.LOST]
        assert found.actions == ()
        assert found.ledger["a"].message == "Pod w-a-1 vanished before its result was recorded"
        assert (found.ledger["a"].phase, found.ledger["a"].infra_failures) == (P.PENDING, 1)

    def test_a_lost_pod_may_be_the_last_straw(self):
        ledger = {"a": JobRecord(P.RUNNING, 1, infra_failures=3)}
        assert look(single(), ledger=ledger).phase is RunPhase.FAILED

    def test_an_upload_that_nobody_needs_is_aborted(self):
        pod = make_pod(main=ended(1), has_uploader=True, uploader=running())
        assert AbortUpload("a", "uid-a-1") in look(single(), pod).actions

    def test_nor_is_that_of_an_attempt_that_is_over(self):
        pod = make_pod(main=ended(1), has_uploader=True, uploader=running())
        ledger = {"a": JobRecord(P.RUNNING, 2)}
        found = look(single(), pod, make_pod(attempt=2, main=running()), ledger=ledger)
        assert found.actions == (AbortUpload("a", "uid-a-1"),)

    def test_a_job_that_does_not_stop_when_its_pod_is_deleted_is_shown_and_waited_for(self):
        pod = make_pod(main=running(), deletion_at=NOW + 3_600, deletion_grace=3_600)
        found = look(single(), pod)
        assert found.actions == ()
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.RUNNING, "Stopping")
        assert "has 3600 s to stop" in found.ledger["a"].message
        assert found.wake_at == NOW + 3_600 + 120

    def test_a_deletion_during_the_upload_leaves_the_upload_alone(self):
        pod = make_pod(
            main=ended(0, at=900),
            has_uploader=True,
            uploader=running(),
            deletion_at=NOW + 3_600,
            deletion_grace=3_600,
        )
        assert look(single(), pod).actions == ()

    def test_a_node_that_is_not_heard_of_is_shown_and_waited_for(self):
        found = look(single(), make_pod(main=running(), unheard=True))
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.RUNNING, "NodeSilent")
        assert "kubectl describe node cpu-1" in found.ledger["a"].message
        assert found.actions == ()

    def test_once_its_pods_are_given_up_the_job_is_run_again(self):
        pod = make_pod(
            main=ended(0, at=900), has_uploader=True, uploader=running(), deletion_at=NOW + 60
        )
        found = look(single(), pod, silent_nodes=frozenset({"cpu-1"}), now=NOW + 61)
        assert [each.reason for _, each in found.failures] == ["NodeLost"]
        assert found.ledger["a"].phase is P.PENDING

    def test_an_image_that_cannot_be_pulled_fails_the_attempt_after_a_while(self):
        pod = make_pod(main=waiting("ImagePullBackOff", "no such image"))
        early = look(single(), pod, now=500.0)
        assert (early.ledger["a"].phase, early.wake_at) == (P.STARTING, 902.0)
        late = look(single(), pod, now=902.0)
        assert late.actions == (DeletePod(pod.name, pod.uid, 0),)
        assert late.failures[0][1].kind is FailureClass.IMAGE_PULL

    def test_a_deletion_that_failed_is_tried_again(self):
        pod = make_pod(main=waiting("ImagePullBackOff", "no such image"))
        given_up = look(single(), pod, now=902.0)
        assert look(single(), pod, ledger=given_up.ledger, now=903.0).actions == (
            DeletePod(pod.name, pod.uid, 30),
        )

    def test_a_deleted_pod_on_a_silent_node_is_given_up(self):
        pod = make_pod(main=running(), deletion_at=NOW - 121)
        found = look(single(), pod, ledger={"a": JobRecord(P.RUNNING, 1)})
        assert found.failures[0][1].reason == "NodeUnreachable"
        assert found.ledger["a"].phase is P.PENDING

    def test_until_then_its_time_is_waited_for(self):
        pod = make_pod(main=running(), deletion_at=NOW)
        assert look(single(), pod).wake_at == NOW + 120

    def test_an_upload_without_end_is_given_up(self):
        pod = make_pod(main=ended(0, at=100), has_uploader=True, uploader=running())
        found = look(single(), pod, now=100 + 3_600 + 120)
        assert found.failures[0][1].reason == "UploadTimeout"


class TestCancel:
    def cancel(self, *pods, workflow=None, **changes):
        return look(workflow or single(), *pods, cancel=True, **changes)

    def test_nothing_new_starts(self):
        found = self.cancel(workflow=diamond())
        assert found.actions == ()
        assert set(phases(found).values()) == {P.CANCELLED}
        assert found.phase is RunPhase.CANCELLED

    def test_what_waits_for_a_retry_is_over(self):
        found = self.cancel(ledger={"a": JobRecord(P.PENDING, 1, retry_at=NOW + 9)})
        assert (found.ledger["a"].phase, found.ledger["a"].retry_at) == (P.CANCELLED, None)

    def test_a_pod_without_a_node_is_gone_at_once(self):
        pod = make_pod(node="")
        found = self.cancel(pod)
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
        assert found.ledger["a"].phase is P.CANCELLED

    def test_a_running_job_gets_half_a_minute_and_is_waited_for(self):
        pod = make_pod(main=running())
        found = self.cancel(pod)
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.RUNNING, "Cancelling")
        assert found.phase is RunPhase.RUNNING

    def test_it_is_cancelled_when_its_pod_has_ended(self):
        found = self.cancel(failed_pod(code=143, deletion_at=NOW))
        assert found.ledger["a"].phase is P.CANCELLED
        assert found.failures == ()

    def test_it_is_cancelled_when_its_pod_is_gone(self):
        found = self.cancel(ledger={"a": JobRecord(P.RUNNING, 1)})
        assert (found.ledger["a"].phase, found.failures) == (P.CANCELLED, ())

    def test_a_starting_job_is_waited_for_as_well(self):
        found = self.cancel(make_pod(main=waiting("ContainerCreating")))
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.STARTING, "Cancelling")

    def test_an_upload_is_told_to_stop_and_waited_for(self):
        pod = make_pod(main=ended(0, at=900), has_uploader=True, uploader=running())
        found = self.cancel(pod)
        assert found.actions == (AbortUpload("a", pod.uid),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.UPLOADING, "Cancelling")

    def test_an_upload_for_a_failed_job_is_not_waited_for(self):
        pod = make_pod(main=ended(1), has_uploader=True, uploader=running())
        found = self.cancel(pod)
        assert found.actions == (AbortUpload("a", pod.uid),)
        assert found.ledger["a"].phase is P.CANCELLED

    def test_a_deletion_with_too_much_time_is_shortened(self):
        pod = make_pod(main=running(), deletion_at=NOW + 3_600, deletion_grace=3_600)
        assert self.cancel(pod).actions == (DeletePod(pod.name, pod.uid, 30),)

    def test_a_silent_node_does_not_hold_the_run(self):
        pod = make_pod(main=running(), deletion_at=NOW - 121, deletion_grace=30)
        assert self.cancel(pod).phase is RunPhase.CANCELLED

    def test_a_job_that_has_ended_well_has_succeeded(self):
        found = self.cancel(succeeded_pod())
        assert (found.ledger["a"].phase, found.phase) == (P.SUCCEEDED, RunPhase.SUCCEEDED)

    def test_a_job_that_failed_before_stays_failed(self):
        workflow = make_workflow().job("a").job("b").compile()
        found = self.cancel(workflow=workflow, ledger={"a": JobRecord(P.FAILED, 1, message="boom")})
        assert phases(found) == {"a": P.FAILED, "b": P.CANCELLED}
        assert (found.phase, found.message) == (RunPhase.FAILED, "job a failed: boom")

    def test_a_pod_that_shows_up_afterwards_is_deleted(self):
        pod = make_pod(main=running())
        found = self.cancel(pod, ledger={"a": JobRecord(P.CANCELLED)})
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
