"""Whether a failed attempt is followed by another, and when: separate budgets, growing delays.

`retries` of the job, else `policy.retries`, is for its own failures (its exit code, too long, out
of memory unless `policy.outOfMemory` has a budget for that), `policy.infraRetries` for those of the
cluster and the storage. What stays wrong is never retried: data, an image that does not exist, an
identity that the storage does not trust. What was used up stands in the ledger, so that a restart
of the operator changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

from gradient_operator.api.policy import RetryPolicy
from gradient_operator.api.workflow import Policy
from gradient_operator.engine import exit_code, memory
from gradient_operator.engine.job_policy import memory_of, retry_of
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord

_OWN: Final = frozenset({FailureClass.USER, FailureClass.OUT_OF_MEMORY, FailureClass.TIMEOUT})
_NEVER: Final = frozenset(
    {FailureClass.DATA, FailureClass.IDENTITY, FailureClass.IMAGE, FailureClass.WAITING}
)
_INFRA_DELAYS: Final = RetryPolicy(delay_seconds=5)


@dataclass(frozen=True, slots=True)
class Facts:
    """What else decides: the job as the file calls it, its own `retries`, its machine's memory."""

    job: str = ""
    retries: int | None = None
    memory: str | None = None


def after_failure(
    record: JobRecord, failure: Failure, *, policy: Policy, now: float, facts: Facts
) -> JobRecord:
    """The job's record after an attempt failed: pending with a time to try again, or failed."""
    failed = replace(
        record, reason=failure.reason, message=failure.message, exit_code=failure.exit_code
    )
    rules = memory_of(policy, facts.job)
    if failure.kind is FailureClass.OUT_OF_MEMORY and rules.retries:
        used = record.memory_failures
        failed = replace(failed, memory_failures=used + 1)
        more = memory.grown(rules, machine=facts.memory, failures=used + 1)
        if used >= rules.retries or more is None:
            return _ended(failed, now)
        text = f"{failure.message}; the next attempt gets {more} of memory"
        failed = replace(failed, memory=more, message=text)
        return _again(failed, used, retry_of(policy, facts.job), now)
    if failure.kind in _OWN:
        used, delays = record.user_failures, retry_of(policy, facts.job)
        failed = replace(failed, user_failures=used + 1)
        budget = policy.retries if facts.retries is None else facts.retries
        if used >= budget or not exit_code.may_retry(delays, failure):
            return _ended(failed, now)
        return _again(failed, used, delays, now)
    used = record.infra_failures
    failed = replace(failed, infra_failures=used + 1)
    if failure.kind in _NEVER or used >= policy.infra_retries:
        return _ended(failed, now)
    return _again(failed, used, _INFRA_DELAYS, now)


def _ended(failed: JobRecord, now: float) -> JobRecord:
    return replace(failed, phase=JobPhase.FAILED, finished_at=now, retry_at=None)


def _again(failed: JobRecord, used: int, delays: RetryPolicy, now: float) -> JobRecord:
    # 10 to the power of 100, the most of both, is still a float.
    delay = min(delays.delay_seconds * delays.factor**used, delays.max_delay_seconds)
    at = now + delay
    return replace(failed, phase=JobPhase.PENDING, retry_at=at, ready_at=at, started_at=None)
