"""The clocks of a run: how long a job may wait, start and run, and how long the whole run may take.

| clock | counts from | to | when it runs out |
| --- | --- | --- | --- |
| waiting | the attempt could start | its Pod has a node | final: the next would wait alike |
| starting | its Pod has a node | main runs | tried again, unless its image never comes |
| running | main runs | main ends | the job's own failure, as with `timeout-minutes` |
| run | the first look at it | its end | what is left is stopped, the run has failed |

All times are the ledger's and the Pod's own, so that a restart of the operator changes nothing.
What a job or its policy says is bounded by what the operator's configuration allows the namespace.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from gradient_operator.api.policy import JobTimeouts
from gradient_operator.engine.model import (
    Failure,
    FailureClass,
    JobRecord,
    Observation,
    PodRecord,
)
from gradient_operator.engine.starting import Limit
from gradient_operator.engine.waiting import Waiting
from gradient_operator.workflow.model import CompiledJob

WAITED: Final = "WaitingTooLong"
STARTED: Final = "StartingTooLong"
NO_IMAGE: Final = "ImageUnavailable"
RUN_OVER: Final = "RunTimedOut"
_ALLOWED: Final = "the most that the operator's configuration allows in this namespace"
Clock = Literal["waiting", "starting", "running"]


@dataclass(frozen=True, slots=True)
class Bound:
    """So many seconds, and who says so."""

    seconds: float
    source: str

    @property
    def text(self) -> str:
        """For a person: the minutes and where to change them."""
        return f"{self.seconds / 60:g} min ({self.source})"


def bound(clock: Clock, seen: Observation, job: CompiledJob) -> Bound | None:
    """How long a job may be in this state; None: as long as it takes.

    The nearest counts: what the job says, then its entry in `policy.jobs`, then `policy`.
    """
    policy, name = seen.policy, job.base or job.name
    own = policy.jobs.get(name)
    found = None
    if clock == "running" and job.timeout_seconds is not None:
        found = Bound(job.timeout_seconds, "timeout-minutes")
    for where, said in (
        (f"policy.jobs.{name}.timeouts", own.timeouts if own is not None else None),
        ("policy.timeouts", policy.timeouts),
    ):
        minutes = _minutes(clock, said)
        if found is None and minutes is not None:
            found = Bound(60 * minutes, f"{where}.{clock}Minutes")
    return _least(found, _minutes(clock, seen.ceilings))


def waiting(seen: Observation, job: CompiledJob, record: JobRecord, what: str) -> Limit | None:
    """The limit of an attempt that has no node yet; `what` it waits for is told when it is over."""
    found = bound("waiting", seen, job)
    if found is None or record.ready_at is None:
        return None
    text = f"it waited longer than {found.text}{f': {what}' if what else ''}"
    failure = Failure(FailureClass.WAITING, WAITED, text)
    return Limit(record.ready_at + found.seconds, failure)


def starting(
    seen: Observation, job: CompiledJob, pod: PodRecord, waits: Waiting | None
) -> Limit | None:
    """The limit of an attempt whose Pod has a node and whose main has not started.

    What another attempt would wait for alike, an image that no registry has, is not tried again.
    """
    found = bound("starting", seen, job)
    since = pod.scheduled_at if pod.scheduled_at is not None else pod.created_at
    if found is None or since is None:
        return None
    text = f"it took longer than {found.text} to start"
    failure = Failure(FailureClass.STARTING, STARTED, text)
    if waits is not None:
        failure = replace(failure, message=f"{text}: {waits.message}")
        if waits.final:
            failure = replace(failure, kind=FailureClass.IMAGE, reason=NO_IMAGE)
    return Limit(since + found.seconds, failure)


def run(seen: Observation) -> Limit | None:
    """The limit of the whole run; time for which it was suspended does not count."""
    said = seen.policy.timeouts
    own = None
    if said is not None and said.run_minutes is not None:
        own = Bound(60 * said.run_minutes, "policy.timeouts.runMinutes")
    found = _least(own, seen.ceilings.run_minutes if seen.ceilings is not None else None)
    if found is None or seen.started_at is None:
        return None
    text = f"the run took longer than {found.text}"
    at = seen.started_at + seen.suspended_seconds + found.seconds
    return Limit(at, Failure(FailureClass.TIMEOUT, RUN_OVER, text))


def _minutes(clock: Clock, said: JobTimeouts | None) -> float | None:
    if said is None:
        return None
    minutes: float | None = getattr(said, f"{clock}_minutes")
    return minutes


def _least(own: Bound | None, allowed: float | None) -> Bound | None:
    if allowed is None or (own is not None and own.seconds <= 60 * allowed):
        return own
    return Bound(60 * allowed, _ALLOWED)
