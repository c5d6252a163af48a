"""Which failures are followed by another attempt, and when."""

import pytest

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord
from gradient_operator.engine.retry import Facts, after_failure

OWN = {FailureClass.USER, FailureClass.OUT_OF_MEMORY, FailureClass.TIMEOUT}
FACTS = Facts(job="train", memory="2Gi")
HOPELESS = {
    FailureClass.DATA,
    FailureClass.IDENTITY,
    FailureClass.IMAGE,
    FailureClass.WAITING,
}
INFRA = set(FailureClass) - OWN - HOPELESS


def fail(record, kind, *, facts=FACTS, **policy):
    failure = Failure(kind, "Reason", "a sentence", 3 if kind is FailureClass.USER else None)
    return after_failure(
        record, failure, policy=Policy.model_validate(policy), now=1000.0, facts=facts
    )


def running(**changes):
    return JobRecord(phase=JobPhase.RUNNING, attempt=1, started_at=900.0, **changes)


@pytest.mark.parametrize("kind", sorted(OWN))
def test_the_jobs_own_failure_ends_it_unless_retries_were_asked_for(kind):
    after = fail(running(), kind)
    assert (after.phase, after.finished_at, after.retry_at) == (JobPhase.FAILED, 1000.0, None)
    assert (after.user_failures, after.infra_failures) == (1, 0)


@pytest.mark.parametrize("kind", sorted(OWN))
def test_retries_that_were_asked_for_start_after_a_second(kind):
    after = fail(running(), kind, retries=1)
    assert (after.phase, after.retry_at, after.attempt) == (JobPhase.PENDING, 1001.0, 1)
    assert after.started_at is None


@pytest.mark.parametrize("kind", sorted(INFRA))
def test_the_clusters_failure_is_retried_after_five_seconds(kind):
    after = fail(running(), kind)
    assert (after.phase, after.retry_at) == (JobPhase.PENDING, 1005.0)
    assert (after.user_failures, after.infra_failures) == (0, 1)


@pytest.mark.parametrize("kind", sorted(INFRA))
def test_the_clusters_failures_have_a_budget_too(kind):
    after = fail(running(infra_failures=3), kind)
    assert (after.phase, after.infra_failures) == (JobPhase.FAILED, 4)


@pytest.mark.parametrize("kind", sorted(HOPELESS))
def test_what_stays_wrong_is_never_tried_again(kind):
    after = fail(running(), kind, retries=9, infra_retries=9)
    assert after.phase is JobPhase.FAILED


def test_the_budgets_do_not_touch_each_other():
    after = fail(running(infra_failures=3), FailureClass.USER, retries=1)
    assert after.phase is JobPhase.PENDING
    after = fail(running(user_failures=5), FailureClass.EVICTED)
    assert after.phase is JobPhase.PENDING


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 5.0), (1, 10.0), (2, 20.0), (5, 160.0), (6, 300.0), (90, 300.0)]
)
def test_delays_grow_up_to_five_minutes(failures, delay):
    after = fail(running(infra_failures=failures), FailureClass.EVICTED, infra_retries=100)
    assert after.retry_at == 1000.0 + delay


def test_the_record_says_what_failed():
    after = fail(running(), FailureClass.USER)
    assert (after.reason, after.message, after.exit_code) == ("Reason", "a sentence", 3)


RULES = {"retries": 9, "retry": {"notOnExitCodes": [3]}}


def test_an_exit_code_that_is_excepted_ends_the_job_and_no_other_budget_is_asked():
    after = fail(running(), FailureClass.USER, **RULES)
    assert (after.phase, after.user_failures) == (JobPhase.FAILED, 1)
    assert fail(running(), FailureClass.TIMEOUT, **RULES).phase is JobPhase.PENDING
    assert fail(running(), FailureClass.EVICTED, **RULES).phase is JobPhase.PENDING


def test_what_is_said_of_one_job_wins_over_what_is_said_of_all():
    own = {"jobs": {"train": {"retry": {"onExitCodes": [3], "delaySeconds": 60}}}}
    after = fail(running(), FailureClass.USER, **RULES, **own)
    assert (after.phase, after.retry_at) == (JobPhase.PENDING, 1060.0)
    other = fail(running(), FailureClass.USER, facts=Facts(job="other"), **RULES, **own)
    assert other.phase is JobPhase.FAILED


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 10.0), (1, 30.0), (2, 90.0), (3, 100.0), (99, 100.0)]
)
def test_the_delays_of_the_jobs_own_failures_are_the_policys(failures, delay):
    rules = {"delaySeconds": 10, "factor": 3, "maxDelaySeconds": 100}
    record = running(user_failures=failures)
    after = fail(record, FailureClass.USER, retries=100, retry=rules)
    assert after.retry_at == 1000.0 + delay


def test_the_longest_delays_that_may_be_written_are_numbers():
    record = running(user_failures=99)
    rules = {"delaySeconds": 86_400, "factor": 10, "maxDelaySeconds": 86_400}
    assert fail(record, FailureClass.USER, retries=100, retry=rules).retry_at == 87_400.0


MEMORY = {"out_of_memory": {"retries": 2, "factor": 2}}


def test_running_out_of_memory_has_a_budget_of_its_own_if_asked_for_and_gets_more():
    after = fail(running(user_failures=7), FailureClass.OUT_OF_MEMORY, **MEMORY)
    assert (after.phase, after.retry_at, after.memory) == (JobPhase.PENDING, 1001.0, "4096Mi")
    assert (after.user_failures, after.memory_failures) == (7, 1)
    assert "the next attempt gets 4096Mi" in after.message
    after = fail(after, FailureClass.OUT_OF_MEMORY, **MEMORY)
    assert (after.phase, after.memory, after.memory_failures) == (JobPhase.PENDING, "8192Mi", 2)
    after = fail(after, FailureClass.OUT_OF_MEMORY, retries=9, **MEMORY)
    assert (after.phase, after.memory_failures) == (JobPhase.FAILED, 3)


def test_what_was_gained_in_memory_is_kept_after_another_failure():
    after = fail(running(memory="4096Mi"), FailureClass.EVICTED, **MEMORY)
    assert after.memory == "4096Mi"


@pytest.mark.parametrize("facts", [Facts(memory="8Gi"), Facts(memory=None), Facts()])
def test_memory_that_cannot_grow_ends_the_job(facts):
    rules = {"retries": 2, "maxMemory": "8Gi"}
    after = fail(running(), FailureClass.OUT_OF_MEMORY, facts=facts, out_of_memory=rules)
    assert (after.phase, after.memory) == (JobPhase.FAILED, None)
