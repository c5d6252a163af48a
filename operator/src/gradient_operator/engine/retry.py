"""Whether a failed attempt is followed by another, and when: separate budgets, growing delays.

`retries` of the job, else `policy.retries`, is for its own failures (its exit code, out of memory,
too long), `policy.infraRetries` for those of the cluster and the storage. Data that is wrong stays
wrong: it is never retried.
"""

from dataclasses import replace
from typing import Final

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord

_OWN: Final = frozenset({FailureClass.USER, FailureClass.OUT_OF_MEMORY, FailureClass.TIMEOUT})
_NEVER: Final = frozenset({FailureClass.DATA})
_FIRST_DELAY: Final = {True: 1.0, False: 5.0}
"""Seconds before the second attempt: of the job's own failure, of another one."""
_LONGEST_DELAY: Final = 300.0


def after_failure(
    record: JobRecord,
    failure: Failure,
    *,
    policy: Policy,
    now: float,
    retries: int | None = None,
) -> JobRecord:
    """The job's record after an attempt failed: pending with a time to try again, or failed.

    `retries` are those that the job itself names; None: those of the policy.
    """
    own = failure.kind in _OWN
    failed = replace(
        record,
        reason=failure.reason,
        message=failure.message,
        exit_code=failure.exit_code,
        user_failures=record.user_failures + own,
        infra_failures=record.infra_failures + (not own),
    )
    used = record.user_failures if own else record.infra_failures
    allowed = policy.retries if retries is None else retries
    budget = allowed if own else policy.infra_retries
    if failure.kind in _NEVER or used >= budget:
        return replace(failed, phase=JobPhase.FAILED, finished_at=now, retry_at=None)
    delay = min(_FIRST_DELAY[own] * 2**used, _LONGEST_DELAY)
    return replace(failed, phase=JobPhase.PENDING, retry_at=now + delay, started_at=None)
