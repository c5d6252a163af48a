"""The planner: from an observation and the time to the whole next step of a run.

Invariants, each a property test: at most one Pod per job and attempt; no Pod before all needs
succeeded; a final job never changes; planning again from the outcome of a plan adds nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gradient_operator.engine import ending, leftovers, starting, verdict
from gradient_operator.engine.model import (
    AbortUpload,
    Action,
    CommitOutputs,
    CreatePod,
    DeletePod,
    Failure,
    FailureClass,
    JobPhase,
    JobRecord,
    Observation,
    OutputRecord,
    Plan,
    PodRecord,
    ReadResult,
    RegisterModel,
)
from gradient_operator.engine.needs import Readiness, readiness
from gradient_operator.engine.outcome import Broken, Done, Going, Outcome, Unread, judge
from gradient_operator.engine.retry import after_failure
from gradient_operator.engine.volumes import volume_keys
from gradient_operator.engine.waiting import Waiting, why, why_not_mounted
from gradient_operator.workflow import model as compiled
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.references import version_id


def plan(seen: Observation, now: float) -> Plan:
    """Decide the next step; `now` in seconds since the epoch."""
    step = _Step(seen, now, dict(seen.ledger))
    for name, job in seen.workflow.jobs.items():
        record = step.ledger.get(name, JobRecord())
        if not record.phase.final:
            record = _advance(step, job, record)
        while record.phase is JobPhase.PENDING and (name, record.attempt + 1) in seen.pods:
            # Its failure was not recorded before a crash, but it was acted upon.
            record = _advance(step, job, record)
        step.ledger[name] = record
    step.stop(
        pod
        for pod in seen.pods.values()
        if pod.job in step.ledger and leftovers.superseded(pod, step.ledger[pod.job])
    )
    return Plan(
        ledger=step.ledger,
        actions=tuple(step.actions),
        phase=verdict.run_phase(step.ledger, cancel=seen.cancel),
        message=verdict.summary(step.ledger),
        failures=tuple(step.failures),
        wake_at=step.wake_at,
    )


@dataclass(slots=True)
class _Step:
    """A plan in the making. Jobs are visited after their needs, so that one pass is enough."""

    seen: Observation
    now: float
    ledger: dict[str, JobRecord]
    actions: list[Action] = field(default_factory=list)
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    wake_at: float | None = None

    def wake(self, at: float) -> None:
        """Look again at this time, or earlier."""
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    def stop(self, pods: Iterable[PodRecord]) -> None:
        """Delete Pods that run in vain, unless that is planned already."""
        planned = {action.uid for action in self.actions if isinstance(action, DeletePod)}
        self.actions += [act for act in leftovers.stop(pods) if act.uid not in planned]


def _advance(step: _Step, job: compiled.CompiledJob, record: JobRecord) -> JobRecord:
    if record.phase is JobPhase.PENDING:
        pod = step.seen.pods.get((job.name, record.attempt + 1))
        if pod is None:
            return _pending(step, job, record)
        # Created before a crash, or just now: the Pod is the truth, the ledger follows.
        record = replace(record, attempt=record.attempt + 1, retry_at=None)
        return _observed(step, job, record, pod)
    pod = step.seen.pods.get((job.name, record.attempt))
    if pod is None:
        later = step.seen.pods.get((job.name, record.attempt + 1))
        if later is not None:
            # The end of the attempt before was lost in a crash; that there is another proves it.
            failures = record.infra_failures + 1
            record = replace(record, attempt=record.attempt + 1, infra_failures=failures)
            return _observed(step, job, record, later)
        text = f"Pod {record.pod} vanished before its result was recorded"
        return _failed(step, job, record, Failure(FailureClass.LOST, "PodLost", text))
    return _observed(step, job, record, pod)


def _pending(step: _Step, job: compiled.CompiledJob, record: JobRecord) -> JobRecord:
    if step.seen.cancel:
        return replace(
            record, phase=JobPhase.CANCELLED, reason="Cancelled", message=None, retry_at=None
        )
    state, need = readiness(job.needs, step.ledger)
    if state is Readiness.HOPELESS:
        end = step.ledger[need].phase
        text = f"{need} {'failed' if end is JobPhase.FAILED else f'was {end.lower()}'}"
        return replace(record, phase=JobPhase.OMITTED, reason="NeedNotMet", message=text)
    if state is Readiness.WAITING:
        return record
    if record.ready_at is None:
        record = replace(record, ready_at=step.now)
    if record.retry_at is not None and record.retry_at > step.now:
        step.wake(record.retry_at)
        return record
    if job.action is compiled.Action.CREATE_MODEL:
        return _model(step, job, record)
    obstacle = _obstacle(step.seen, job)
    if obstacle is not None:
        return replace(record, reason=obstacle[0], message=obstacle[1])
    step.actions.append(CreatePod(job.name, record.attempt + 1))
    if job.name in step.seen.problems:
        return replace(record, reason="PodRefused", message=step.seen.problems[job.name])
    return replace(record, reason=None, message=None)


def _obstacle(seen: Observation, job: compiled.CompiledJob) -> tuple[str, str] | None:
    """Why the Pod of a ready job is not created: reason and sentence."""
    if job.instance_type not in seen.instance_types:
        hint = nearest(job.instance_type, seen.instance_types, "none is installed")
        text = (
            f"machine type {job.instance_type!r} is not known; {hint}"
            f"{'' if hint.endswith('?') else '.'} List them: kubectl get gradientinstancetypes"
        )
        return "UnknownInstanceType", text
    if any(key not in seen.volumes for key in volume_keys(job)):
        text = "the machine types of all jobs that share its volume must be known first"
        return "UnknownInstanceType", text
    if seen.storage_problem and needs_storage(seen, job):
        return "StorageUnavailable", seen.storage_problem
    return None


def needs_storage(seen: Observation, job: compiled.CompiledJob) -> bool:
    """Whether the job's Pod reads or writes object storage."""
    for output in job.outputs:
        if output.type != "volume" or _copied(seen, job.name, output.name):
            return True
    for item in job.inputs:
        if isinstance(item, compiled.DatasetInput):
            return True
        if isinstance(item, compiled.OutputInput):
            record = seen.ledger.get(item.job, JobRecord()).outputs.get(item.output)
            if record is not None and record.value is None:
                return True
    return False


def _copied(seen: Observation, job: str, output: str) -> bool:
    volume = seen.volumes.get(f"{job}.{output}")
    return volume is not None and volume.mode == "Copy"


def _model(step: _Step, job: compiled.CompiledJob, record: JobRecord) -> JobRecord:
    model_id = step.seen.models.get(job.name)
    if model_id is None:
        problem = step.seen.problems.get(job.name)
        if problem:
            record = replace(record, reason="ModelRefused", message=problem)
        step.actions.append(RegisterModel(job.name))
        return record
    return replace(
        record,
        phase=JobPhase.SUCCEEDED,
        attempt=1,
        started_at=record.ready_at,
        finished_at=step.now,
        reason=None,
        message=None,
        outputs={"model-id": OutputRecord(value=model_id)},
    )


def _observed(
    step: _Step, job: compiled.CompiledJob, record: JobRecord, pod: PodRecord
) -> JobRecord:
    outcome = _in_time(step, pod, judge(pod, step.seen.results.get(pod.uid)))
    facts: dict[str, Any] = {
        "pod": pod.name,
        "pod_uid": pod.uid,
        "node": pod.node or None,
        "ready_at": record.ready_at if record.ready_at is not None else pod.created_at,
        "started_at": pod.main.started_at if pod.main else None,
        "finished_at": pod.main.finished_at if pod.main else None,
        "reason": None,
        "message": None,
        "exit_code": None,
    }
    if step.seen.cancel and not _ended_before_cancel(step, pod, outcome):
        return _cancelled(step, replace(record, **facts), pod, going=isinstance(outcome, Going))
    match outcome:
        case Going(phase):
            waiting = _waiting(step.seen, pod, phase)
            if waiting is not None:
                facts |= {"reason": waiting.reason, "message": waiting.message}
            return _going(step, job, _updated(record, phase=phase, **facts), pod, waiting)
        case Broken(failure):
            if pod.uploader is not None and pod.uploader.running:
                step.actions.append(AbortUpload(job.name, pod.uid))
            return _failed(step, job, replace(record, **facts), failure)
        case Unread():
            step.actions.append(ReadResult(job.name, pod.uid))
            return replace(
                record, **{**facts, "phase": JobPhase.UPLOADING, "reason": "ReadingResult"}
            )
        case Done(result):
            found = result.outputs if result else {}
            return _done(step, job, replace(record, **facts), pod, found)


def _updated(record: JobRecord, **facts: Any) -> JobRecord:
    """The record with these facts; itself if it has them: most Pods say nothing new."""
    if all(getattr(record, name) == value for name, value in facts.items()):
        return record
    return replace(record, **facts)


def _ended_before_cancel(step: _Step, pod: PodRecord, outcome: Outcome) -> bool:
    """Whether an attempt had succeeded before it was told to stop.

    A main that ends with 0 because it was stopped has not finished its work. What was committed
    stays committed.
    """
    return isinstance(outcome, Done) and (not pod.deleting or pod.uid in step.seen.committed)


def _in_time(step: _Step, pod: PodRecord, outcome: Outcome) -> Outcome:
    """The outcome, or a failure once a Pod that should have ended is overdue."""
    if not isinstance(outcome, Going):
        return outcome
    limit = ending.limit(pod, upload_seconds=step.seen.policy.upload_seconds)
    if limit is None:
        return outcome
    if limit.at > step.now:
        step.wake(limit.at)
        return outcome
    return Broken(limit.failure)


def _done(
    step: _Step,
    job: compiled.CompiledJob,
    record: JobRecord,
    pod: PodRecord,
    found: Mapping[str, OutputRecord],
) -> JobRecord:
    for output in job.outputs:
        stored = output.type == "dataset" or _copied(step.seen, job.name, output.name)
        if stored and (output.name not in found or found[output.name].digest is None):
            text = f"the uploader says nothing of the output {output.name!r}"
            return _failed(step, job, record, Failure(FailureClass.UPLOAD, "UploadFailed", text))
    versions = {
        output.name: found[output.name] for output in job.outputs if output.type == "dataset"
    }
    if versions and pod.uid not in step.seen.committed:
        step.actions.append(CommitOutputs(job.name, pod.uid, versions))
        return replace(record, phase=JobPhase.UPLOADING, reason="Committing")
    return replace(
        record, phase=JobPhase.SUCCEEDED, outputs=_named_versions(job, found), exit_code=0
    )


def _named_versions(
    job: compiled.CompiledJob, found: Mapping[str, OutputRecord]
) -> dict[str, OutputRecord]:
    """The declared outputs among what was found, dataset versions with their names."""
    named: dict[str, OutputRecord] = {}
    for output in job.outputs:
        record = found.get(output.name)
        if record is not None and output.dataset is not None and record.digest is not None:
            version = f"{output.dataset.object_name}:{version_id(record.digest)}"
            record = replace(record, version=version)
        if record is not None:
            named[output.name] = record
    return named


def _waiting(seen: Observation, pod: PodRecord, phase: JobPhase) -> Waiting | None:
    """What an attempt under way waits for; None: it works."""
    stuck = Waiting("StorageUnavailable", seen.storage_problem) if seen.storage_problem else None
    if phase is JobPhase.UPLOADING:
        return stuck
    if phase is not JobPhase.STARTING:
        return None
    waiting = why(pod, secret_name=seen.policy.secret_name)
    said = seen.mount_problems.get(pod.uid)
    if waiting.reason == "Starting" and said:
        waiting = why_not_mounted(pod, said, secret_name=seen.policy.secret_name)
    helped = pod.has_uploader or pod.fetch is not None
    if stuck is not None and helped and waiting.reason in {"Starting", "Fetching"}:
        return stuck
    return waiting


def _going(
    step: _Step,
    job: compiled.CompiledJob,
    record: JobRecord,
    pod: PodRecord,
    waiting: Waiting | None,
) -> JobRecord:
    if waiting is None or record.phase is not JobPhase.STARTING:
        return record
    limit = starting.limit(pod, waiting)
    if limit is None:
        return record
    if limit.at > step.now:
        step.wake(limit.at)
        return record
    if not pod.deleting:
        step.actions.append(DeletePod(pod.name, pod.uid, 0))
    return _failed(step, job, record, limit.failure)


def _cancelled(step: _Step, record: JobRecord, pod: PodRecord, *, going: bool) -> JobRecord:
    """Stop an attempt; its record becomes final once nothing of it runs any more.

    One that had ended well before is not stopped: perhaps its outputs were committed already.
    """
    step.stop([pod])
    if pod.main_ended and pod.uploader is not None and pod.uploader.running:
        step.actions.append(AbortUpload(pod.job, pod.uid))
    if going and pod.node and not pod.terminal:
        return replace(record, phase=_phase_of(pod), reason="Cancelling")
    return replace(
        record,
        phase=JobPhase.CANCELLED,
        reason="Cancelled",
        finished_at=record.finished_at or step.now,
    )


def _phase_of(pod: PodRecord) -> JobPhase:
    if pod.main is None or pod.main.started_at is None:
        return JobPhase.STARTING
    return JobPhase.UPLOADING if pod.main.terminated else JobPhase.RUNNING


def _failed(
    step: _Step, job: compiled.CompiledJob, record: JobRecord, failure: Failure
) -> JobRecord:
    if step.seen.cancel:
        return replace(record, phase=JobPhase.CANCELLED, reason="Cancelled", finished_at=step.now)
    step.failures.append((job.name, failure))
    after = after_failure(record, failure, policy=step.seen.policy, now=step.now)
    if after.retry_at is not None:
        step.wake(after.retry_at)
    return after
