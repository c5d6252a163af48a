"""The parts of `policy` that decide about failures, clocks and queues; for all jobs, or for one."""

from typing import Annotated, Final

from pydantic import Field

from gradient_operator.api.base import Open, Quantity

ExitCode = Annotated[int, Field(ge=1, le=255)]
MAX_MINUTES: Final = 525_600
"""A year."""
Minutes = Annotated[float, Field(ge=0.01, le=MAX_MINUTES)]
ExitCodes = Annotated[list[ExitCode], Field(max_length=64)]


class RetryPolicy(Open):
    """Which failures of the job itself `retries` are for, and how long the next attempt waits.

    The n-th further attempt waits `delaySeconds` times `factor` to the power of n - 1.
    """

    on_exit_codes: ExitCodes | None = None
    """Only these exit codes are tried again; all, if it is not given."""
    not_on_exit_codes: ExitCodes = []
    """These exit codes are never tried again."""
    delay_seconds: float = Field(default=1, ge=0, le=86_400)
    factor: float = Field(default=2, ge=1, le=10)
    max_delay_seconds: float = Field(default=300, ge=0, le=86_400)


class OutOfMemoryPolicy(Open):
    """What follows when a job runs out of memory; without it, that counts against `retries`."""

    retries: int = Field(default=0, ge=0, le=10)
    """Further attempts, each with more memory; above 0 they are a budget of their own."""
    factor: float = Field(default=2, ge=1.1, le=10)
    """How many times the memory of the attempt before the next one gets, as request and limit."""
    max_memory: Quantity | None = None
    """The most that an attempt gets."""


class JobTimeouts(Open):
    """How long a job may be in each state; what is not given has no limit."""

    waiting_minutes: Minutes | None = None
    """From when it could start until its Pod has a node; then it has failed for good."""
    starting_minutes: Minutes | None = None
    """From then until its container runs: image, inputs; then it is tried again."""
    running_minutes: Minutes | None = None
    """For jobs that have no `timeout-minutes`, which means the same."""


class Timeouts(JobTimeouts):
    """How long each job, and the whole run, may take."""

    run_minutes: Minutes | None = None
    """From the start of the run; then all that is left is stopped, and the run has failed. Time for
    which it was suspended does not count."""


class HistoryPolicy(Open):
    """How much is kept of a workflow's ended runs; what is not given is the operator's to say."""

    keep_succeeded: int | None = Field(default=None, ge=1, le=10_000)
    keep_failed: int | None = Field(default=None, ge=1, le=10_000)
    """With those that were cancelled."""
    keep_days: float | None = Field(default=None, ge=0.01, le=3_650)


class JobPolicy(Open):
    """What holds for one job instead of what `policy` says of all."""

    retry: RetryPolicy | None = None
    out_of_memory: OutOfMemoryPolicy | None = None
    timeouts: JobTimeouts | None = None
    reuse: bool | None = None
    """Whether this job's result may be that of an earlier run; as `policy.reuse` if not given."""
