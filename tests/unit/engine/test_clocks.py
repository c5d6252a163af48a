"""How long a job may wait, start and run, and a run may take: what counts, and what follows."""

from dataclasses import replace

import pytest

from gradient_operator.api.policy import Timeouts
from gradient_operator.api.workflow import Policy
from gradient_operator.engine import clocks
from gradient_operator.engine.actions import DeletePod
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.engine.planner import plan
from tests.builders import make_observation, make_pod, make_workflow, running, waiting

P = JobPhase
EACH = {"waitingMinutes": 1, "startingMinutes": 2, "runningMinutes": 3, "runMinutes": 10}
JOBS = {"jobs": {"a": {"timeouts": {"waitingMinutes": 5, "runningMinutes": 5}}}}


def policy(**fields):
    return Policy.model_validate(fields)


def observe(*pods, timeouts=EACH, job=None, **changes):
    rules = policy(timeouts=timeouts) if timeouts else Policy()
    workflow = (job or make_workflow().job("a")).compile()
    return make_observation(workflow, *pods, **{"policy": rules, **changes})


class TestBound:
    @pytest.mark.parametrize(
        ("job", "said", "ceilings", "seconds", "source"),
        [
            ({}, {}, {}, None, ""),
            ({}, {"timeouts": EACH}, {}, 180, "policy.timeouts.runningMinutes"),
            ({}, {"timeouts": EACH, **JOBS}, {}, 300, "policy.jobs.a.timeouts.runningMinutes"),
            ({"timeout-minutes": 7}, {"timeouts": EACH, **JOBS}, {}, 420, "timeout-minutes"),
            ({"timeout-minutes": 7}, {}, {"running_minutes": 9}, 420, "timeout-minutes"),
            ({"timeout-minutes": 7}, {}, {"running_minutes": 6}, 360, "the operator's"),
            ({}, {}, {"running_minutes": 6}, 360, "the operator's"),
        ],
    )
    def test_the_nearest_counts_and_the_operators_bounds_it(
        self, job, said, ceilings, seconds, source
    ):
        compiled = make_workflow().job("a", **job).compile()
        seen = make_observation(compiled, policy=policy(**said), ceilings=Timeouts(**ceilings))
        found = clocks.bound("running", seen, compiled.jobs["a"])
        assert (found and found.seconds) == seconds
        assert found is None or source in found.text

    def test_all_combinations_of_a_matrix_are_meant_by_their_name_in_the_file(self):
        job = make_workflow().job("a", strategy={"matrix": {"x": [1, 2]}})
        compiled = job.compile()
        seen = make_observation(compiled, policy=policy(**JOBS))
        assert clocks.bound("waiting", seen, compiled.jobs["a-2"]).seconds == 300


class TestWaiting:
    def test_a_job_without_a_pod_is_given_up_for_good_and_says_what_it_waited_for(self):
        job = make_workflow().job("a").on("mars")
        found = plan(observe(job=job), 100.0)
        record = found.ledger["a"]
        assert (record.reason, found.wake_at) == ("UnknownInstanceType", 160.0)
        found = plan(observe(job=job, ledger=found.ledger), 160.0)
        record = found.ledger["a"]
        assert (record.phase, record.reason) == (P.FAILED, "WaitingTooLong")
        assert "1 min (policy.timeouts.waitingMinutes)" in record.message
        assert "'mars' is not known" in record.message
        assert found.phase is RunPhase.FAILED

    def test_it_counts_until_the_pod_has_a_node(self):
        pod = make_pod(node="", scheduled_at=None, unschedulable="0/3 nodes: Insufficient cpu")
        ledger = {"a": JobRecord(P.STARTING, 1, ready_at=50.0)}
        assert plan(observe(pod, ledger=ledger), 100.0).wake_at == 110.0
        found = plan(observe(pod, ledger=ledger), 110.0)
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
        record = found.ledger["a"]
        assert (record.phase, record.reason) == (P.FAILED, "WaitingTooLong")
        assert "Insufficient cpu" in record.message

    def test_a_further_attempt_waits_from_when_it_may_start(self):
        ledger = {"a": JobRecord(attempt=1, ready_at=500.0, infra_failures=1)}
        found = plan(observe(ledger=ledger), 510.0)
        assert found.ledger["a"].phase is P.PENDING

    def test_a_scheduler_that_was_quicker_than_the_deletion_changes_nothing(self):
        pod = make_pod(deletion_at=200.0, deletion_grace=30)
        told = JobRecord(
            P.STARTING, 1, pod_uid=pod.uid, ready_at=50.0, reason="WaitingTooLong", message="…"
        )
        found = plan(observe(pod, ledger={"a": told}), 130.0)
        assert found.ledger["a"].reason == "WaitingTooLong"
        gone = replace(pod, phase="Failed")
        record = plan(observe(gone, ledger=found.ledger), 131.0).ledger["a"]
        assert (record.phase, record.reason, record.message) == (P.FAILED, "WaitingTooLong", "…")


class TestStarting:
    def test_it_counts_from_the_node_to_main_and_is_tried_again(self):
        pod = make_pod(scheduled_at=100.0, main=waiting("ImagePullBackOff", "429"))
        ledger = {"a": JobRecord(P.STARTING, 1, ready_at=1.0)}
        assert plan(observe(pod, ledger=ledger), 200.0).wake_at == 220.0
        found = plan(observe(pod, ledger=ledger), 220.0)
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (
            P.STARTING,
            "StartingTooLong",
        )
        ended = replace(pod, phase="Failed", deletion_at=250.0)
        after = plan(observe(ended, ledger=found.ledger), 225.0).ledger["a"]
        assert (after.phase, after.infra_failures, after.user_failures) == (P.PENDING, 1, 0)
        assert after.reason == "StartingTooLong", (
            "not that the Pod was deleted, which was our doing"
        )
        assert "the image cannot be pulled" in after.message

    @pytest.mark.parametrize(
        ("reason", "message"),
        [
            (
                "InvalidImageName",
                "couldn't parse image name: invalid reference format",
            ),
            ("ErrImagePull", "rpc error: code = NotFound desc = manifest unknown"),
            ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: 401 Unauthorized'),
        ],
    )
    def test_an_image_that_no_attempt_would_get_is_not_tried_again(self, reason, message):
        pod = make_pod(scheduled_at=100.0, main=waiting(reason, message))
        ledger = {"a": JobRecord(P.STARTING, 1, ready_at=1.0)}
        found = plan(observe(pod, ledger=ledger), 220.0)
        assert found.actions == (DeletePod(pod.name, pod.uid, 30),)
        ended = replace(pod, phase="Failed", deletion_at=250.0)
        after = plan(observe(ended, ledger=found.ledger), 225.0).ledger["a"]
        assert (after.phase, after.attempt, after.reason) == (P.FAILED, 1, "ImageUnavailable")
        assert "2 min (policy.timeouts.startingMinutes)" in after.message
        assert "Check its name and tag" in after.message

    def test_main_that_runs_has_started(self):
        pod = make_pod(scheduled_at=2.0, main=running(150.0))
        found = plan(observe(pod, ledger={"a": JobRecord(P.STARTING, 1)}), 200.0)
        assert (found.ledger["a"].phase, found.wake_at) == (P.RUNNING, 330.0)


class TestRunning:
    def test_the_policys_limit_is_that_of_timeout_minutes(self):
        pod = make_pod(main=running(10.0))
        found = plan(observe(pod, ledger={"a": JobRecord(P.RUNNING, 1)}), 190.0)
        assert found.ledger["a"].reason == "TimedOut"
        assert "policy.timeouts.runningMinutes: 3" in found.ledger["a"].message


class TestRun:
    def test_what_is_left_is_stopped_and_the_run_has_failed(self):
        chain = make_workflow().job("a").job("b").needs("a")
        pod = make_pod(main=running(10.0))
        ledger = {"a": JobRecord(P.RUNNING, 1)}
        seen = observe(pod, job=chain, ledger=ledger, started_at=0.0, timeouts={"runMinutes": 10})
        assert plan(seen, 599.0).wake_at == 600.0
        found = plan(seen, 600.0)
        assert DeletePod(pod.name, pod.uid, 30) in found.actions
        assert found.ledger["b"].phase is P.CANCELLED
        assert found.phase is RunPhase.RUNNING
        gone = replace(pod, phase="Failed", main=replace(pod.main, exit_code=143, finished_at=605))
        seen = replace(seen, ledger=found.ledger, pods={("a", 1): gone})
        found = plan(seen, 606.0)
        assert found.ledger["a"].phase is P.CANCELLED
        assert found.phase is RunPhase.FAILED
        assert found.message == "the run took longer than 10 min (policy.timeouts.runMinutes)"

    def test_jobs_that_run_always_are_stopped_as_well(self):
        job = make_workflow().job("a").job("b", **{"if": "always()"}).needs("a")
        ledger = {"a": JobRecord(P.SUCCEEDED, 1)}
        seen = observe(job=job, ledger=ledger, started_at=0.0, timeouts={"runMinutes": 1})
        assert plan(seen, 60.0).ledger["b"].phase is P.CANCELLED

    def test_time_for_which_it_was_suspended_does_not_count(self):
        seen = observe(started_at=0.0, suspended_seconds=50.0, timeouts={"runMinutes": 1})
        assert plan(seen, 109.0).phase is RunPhase.RUNNING
        assert plan(seen, 110.0).phase is RunPhase.FAILED

    def test_a_run_that_ended_in_time_is_left_alone(self):
        ledger = {"a": JobRecord(P.SUCCEEDED, 1)}
        seen = observe(ledger=ledger, started_at=0.0, timeouts={"runMinutes": 1})
        assert plan(seen, 10_000.0).phase is RunPhase.SUCCEEDED
