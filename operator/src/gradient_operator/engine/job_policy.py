"""The policy of one job: what `policy.jobs` says of it, and else what `policy` says of all.

Jobs are named as the file has them: the combinations of a matrix share what is said of it.
"""

from typing import Final

from gradient_operator.api.policy import OutOfMemoryPolicy, RetryPolicy
from gradient_operator.api.workflow import Policy

_RETRY: Final = RetryPolicy()
_MEMORY: Final = OutOfMemoryPolicy()


def retry_of(policy: Policy, job: str) -> RetryPolicy:
    """Which exit codes of a job are tried again, and after how long."""
    own = policy.jobs.get(job)
    if own is not None and own.retry is not None:
        return own.retry
    return _RETRY if policy.retry is None else policy.retry


def memory_of(policy: Policy, job: str) -> OutOfMemoryPolicy:
    """What follows when a job runs out of memory."""
    own = policy.jobs.get(job)
    if own is not None and own.out_of_memory is not None:
        return own.out_of_memory
    return _MEMORY if policy.out_of_memory is None else policy.out_of_memory
