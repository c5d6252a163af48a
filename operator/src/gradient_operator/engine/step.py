"""A plan in the making: what was seen, the ledger so far, and what is to be done."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gradient_operator.engine import leftovers
from gradient_operator.engine.actions import AbortUpload, Action, DeletePod
from gradient_operator.engine.model import Failure, JobPhase, JobRecord, Observation, PodRecord
from gradient_operator.engine.retry import Facts, after_failure
from gradient_operator.engine.stopping import Stop, stop
from gradient_operator.workflow.model import CompiledJob


@dataclass(slots=True)
class Step:
    """A plan in the making. Jobs are visited after their needs, so that one pass is enough."""

    seen: Observation
    now: float
    ledger: dict[str, JobRecord]
    actions: list[Action] = field(default_factory=list)
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    wake_at: float | None = None
    room: dict[str, int] = field(default_factory=dict)
    """How many more combinations of a matrix may start."""
    failed: dict[str, str] = field(default_factory=dict)
    """The combination that stops the others of its matrix."""
    line: list[str] = field(default_factory=list)
    """Jobs that may start if there is room for them, in the order of the file."""
    wants: list[tuple[str, str]] = field(default_factory=list)
    """Those of them that lack a place outside the run, with their machine types."""
    over: Stop | None = None
    """Why all that is left stops: the run took too long."""

    @property
    def limited(self) -> bool:
        """Whether jobs that may start must be chosen from."""
        return self.seen.policy.max_parallel is not None or self.seen.places is not None

    def wake(self, at: float) -> None:
        """Look again at this time, or earlier."""
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    def stop(self, pods: Iterable[PodRecord], *, grace: int | None = None) -> None:
        """Delete Pods that run in vain, and abort uploads, unless that is planned already.

        `grace` is what main has to stop, in seconds.
        """
        found = list(pods)
        planned = {action.uid for action in self.actions if isinstance(action, DeletePod)}
        grace = leftovers.STOP_SECONDS if grace is None else grace
        self.actions += [act for act in leftovers.stop(found, grace) if act.uid not in planned]
        for pod in found:
            if pod.main_ended:
                self.abort(pod)

    def abort(self, pod: PodRecord) -> None:
        """Abort the upload of a Pod, if one is under way or about to be."""
        action = AbortUpload(pod.job, pod.uid)
        working = pod.uploader is not None and pod.uploader.running and not pod.terminal
        if working and action not in self.actions:
            self.actions.append(action)

    def why_stop(self, job: CompiledJob) -> Stop | None:
        """Why a job must not go on, if so."""
        why = stop(self.seen, job, self.ledger, failed_sibling=self.failed.get(job.base))
        return why or self.over

    def fail(self, job: CompiledJob, record: JobRecord, failure: Failure) -> JobRecord:
        """The record of a job whose attempt has failed: it is tried again, or that was all."""
        why = self.why_stop(job)
        if why is not None:
            return replace(
                record,
                phase=JobPhase.CANCELLED,
                reason=why.reason,
                message=why.message or record.message,
                finished_at=self.now,
            )
        self.failures.append((job.name, failure))
        machine = self.seen.instance_types.get(job.instance_type)
        facts = Facts(
            job=job.base or job.name,
            retries=job.retries,
            memory=machine.memory if machine is not None else None,
        )
        after = after_failure(record, failure, policy=self.seen.policy, now=self.now, facts=facts)
        if after.retry_at is not None:
            self.wake(after.retry_at)
        return after
