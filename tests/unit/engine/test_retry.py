"""Which failures are followed by another attempt, and when."""

import pytest

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord
from gradient_operator.engine.retry import after_failure

OWN = {FailureClass.USER, FailureClass.OUT_OF_MEMORY, FailureClass.TIMEOUT}
INFRA = set(FailureClass) - OWN - {FailureClass.DATA}


def fail(record, kind, **policy):
    failure = Failure(kind, "Reason", "a sentence", 3 if kind is FailureClass.USER else None)
    return after_failure(record, failure, policy=Policy(**policy), now=1000.0)


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


def test_wrong_data_is_never_tried_again():
    after = fail(running(), FailureClass.DATA, retries=9, infra_retries=9)
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
