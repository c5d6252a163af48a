"""An attempt under way, or just ended: what its Pod says becomes the job's record and actions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gradient_operator.engine import clocks, ending, full_disk, starting, timeout
from gradient_operator.engine.actions import CommitOutputs, DeletePod, ReadResult
from gradient_operator.engine.holding import Hold, find_hold, held_claims
from gradient_operator.engine.model import (
    Failure,
    FailureClass,
    JobPhase,
    JobRecord,
    Observation,
    OutputRecord,
    PodRecord,
)
from gradient_operator.engine.obstacle import copied
from gradient_operator.engine.outcome import Broken, Done, Going, Outcome, Unread, judge
from gradient_operator.engine.starting import Limit
from gradient_operator.engine.step import Step
from gradient_operator.engine.stopping import Stop
from gradient_operator.engine.waiting import (
    Waiting,
    being_deleted,
    no_contact,
    why,
    why_not_mounted,
)
from gradient_operator.workflow.model import CompiledJob
from gradient_operator.workflow.references import version_id

_CLOCKS: Final = {
    clocks.WAITED: FailureClass.WAITING,
    clocks.STARTED: FailureClass.STARTING,
    clocks.NO_IMAGE: FailureClass.IMAGE,
}
"""The clocks that stop a Pod whose main has not started."""


def observed(step: Step, job: CompiledJob, record: JobRecord, pod: PodRecord) -> JobRecord:
    """What becomes of a job from what its Pod says."""
    outcome = _in_time(step, pod, judge(pod, step.seen.results.get(pod.uid)))
    facts: dict[str, Any] = {
        "pod": pod.name,
        "pod_uid": pod.uid,
        "node": pod.node or _last_node(step, job, record),
        "ready_at": record.ready_at if record.ready_at is not None else pod.created_at,
        "started_at": pod.main.started_at if pod.main else None,
        "finished_at": pod.main.finished_at if pod.main else None,
        "reason": None,
        "message": None,
        "exit_code": None,
    }
    end = step.why_stop(job)
    if end is not None and not _ended_before_stop(step, pod, outcome):
        record = replace(record, **facts)
        return _stopped(step, record, pod, end, going=isinstance(outcome, Going))
    late = _decided(record, pod, outcome) or _late(step, job, record, pod)
    if late is not None and late.at > step.now:
        step.wake(late.at)
    elif late is not None and pod.uid not in step.seen.committed:
        record = replace(record, **facts)
        going = isinstance(outcome, Going)
        return _timed_out(step, job, record, pod, going=going, failure=late.failure)
    match outcome:
        case Going(phase):
            return _going(step, job, record, pod, {**facts, "phase": phase})
        case Broken(failure):
            step.abort(pod)
            explained = full_disk.explain(failure, job, step.seen)
            return step.fail(job, replace(record, **facts), explained)
        case Unread():
            step.actions.append(ReadResult(job.name, pod.uid))
            return replace(
                record, **{**facts, "phase": JobPhase.UPLOADING, "reason": "ReadingResult"}
            )
        case Done(result):
            found = result.outputs if result else {}
            return _done(step, job, replace(record, **facts), pod, found)


def _last_node(step: Step, job: CompiledJob, record: JobRecord) -> str | None:
    """The node of the attempt before, where a claim may hold this one to it."""
    return record.node if record.node and held_claims(step.seen, job) else None


def _decided(record: JobRecord, pod: PodRecord, outcome: Outcome) -> Limit | None:
    """The clock that ran out at an earlier look, whatever the Pod says while it ends.

    A kubelet that stops a Pod which never started calls it failed; so would we call it deleted.
    """
    kind = _CLOCKS.get(record.reason or "")
    if kind is None or not pod.deleting or record.pod_uid != pod.uid:
        return None
    if isinstance(outcome, Done | Unread):
        return None
    return Limit(0, Failure(kind, str(record.reason), record.message or ""))


def _late(step: Step, job: CompiledJob, record: JobRecord, pod: PodRecord) -> Limit | None:
    """When the clock runs out that counts now: until it has a node, until main runs, or after."""
    seen, main = step.seen, pod.main
    if main is not None and main.started_at is not None:
        found = clocks.bound("running", seen, job)
        if found is None:
            return None
        told = record.reason == timeout.REASON
        return timeout.limit(pod, seconds=found.seconds, source=found.source, told=told)
    if pod.terminal or not (
        clocks.bound("waiting", seen, job) or clocks.bound("starting", seen, job)
    ):
        return None
    hold = _hold(step, job, record, pod)
    waits = _waiting(seen, pod, JobPhase.STARTING, hold.node)
    what = waits.message if waits is not None else ""
    ready_at = record.ready_at if record.ready_at is not None else pod.created_at
    late = clocks.waiting(seen, job, replace(record, ready_at=ready_at), what)
    if not pod.node:
        return late
    return clocks.starting(seen, job, pod, waits)


def _updated(record: JobRecord, facts: dict[str, Any]) -> JobRecord:
    """The record with these facts; itself if it has them: most Pods say nothing new."""
    for name, value in facts.items():
        if getattr(record, name) != value:
            return replace(record, **facts)
    return record


def _ended_before_stop(step: Step, pod: PodRecord, outcome: Outcome) -> bool:
    """Whether an attempt had succeeded before it was told to stop.

    A main that ends with 0 because it was stopped has not finished its work. What was committed
    stays committed.
    """
    return isinstance(outcome, Done) and (not pod.deleting or pod.uid in step.seen.committed)


def _in_time(step: Step, pod: PodRecord, outcome: Outcome) -> Outcome:
    """The outcome, or a failure once a Pod that should have ended is overdue."""
    if not isinstance(outcome, Going):
        return outcome
    limit = ending.limit(
        pod,
        upload_seconds=step.seen.policy.upload_seconds,
        silent=pod.node in step.seen.silent_nodes,
    )
    if limit is None:
        return outcome
    if limit.at > step.now:
        step.wake(limit.at)
        return outcome
    return Broken(limit.failure)


def _done(
    step: Step,
    job: CompiledJob,
    record: JobRecord,
    pod: PodRecord,
    found: Mapping[str, OutputRecord],
) -> JobRecord:
    for output in job.outputs:
        stored = output.type == "dataset" or copied(step.seen, job.name, output.name)
        if stored and (output.name not in found or found[output.name].digest is None):
            text = f"the uploader says nothing of the output {output.name!r}"
            return step.fail(job, record, Failure(FailureClass.UPLOAD, "UploadFailed", text))
    versions = {
        output.name: found[output.name] for output in job.outputs if output.type == "dataset"
    }
    if versions and pod.uid not in step.seen.committed:
        step.actions.append(CommitOutputs(job.name, pod.uid, versions))
        return replace(record, phase=JobPhase.UPLOADING, reason="Committing")
    return replace(
        record, phase=JobPhase.SUCCEEDED, outputs=_named_versions(job, found), exit_code=0
    )


def _named_versions(job: CompiledJob, found: Mapping[str, OutputRecord]) -> dict[str, OutputRecord]:
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


def _waiting(seen: Observation, pod: PodRecord, phase: JobPhase, home: str) -> Waiting | None:
    """What an attempt under way waits for; None: it works."""
    if pod.unheard and not pod.deleting:
        return no_contact(pod)
    if pod.deleting and phase is JobPhase.RUNNING:
        return being_deleted(pod)
    stuck = Waiting("StorageUnavailable", seen.storage_problem) if seen.storage_problem else None
    if phase is JobPhase.UPLOADING:
        return stuck
    if phase is not JobPhase.STARTING:
        return None
    waiting = why(pod, secret_name=seen.policy.secret_name, home=home)
    said = seen.mount_problems.get(pod.uid)
    if waiting.reason == "Starting" and said:
        waiting = why_not_mounted(pod, said, secret_name=seen.policy.secret_name)
    helped = pod.has_uploader or pod.fetch is not None
    if stuck is not None and helped and waiting.reason in {"Starting", "Fetching"}:
        return stuck
    return waiting


def _hold(step: Step, job: CompiledJob, record: JobRecord, pod: PodRecord) -> Hold:
    return find_hold(step, job, record) if pod.unschedulable and not pod.node else Hold()


def _going(
    step: Step, job: CompiledJob, record: JobRecord, pod: PodRecord, facts: dict[str, Any]
) -> JobRecord:
    """An attempt under way; the record stays the same object if nothing of it is new."""
    hold = _hold(step, job, record, pod)
    phase: JobPhase = facts["phase"]
    waiting = _waiting(step.seen, pod, phase, hold.node)
    if waiting is not None:
        facts |= {"reason": waiting.reason, "message": waiting.message}
    record = _updated(record, facts)
    if waiting is None or phase is not JobPhase.STARTING:
        return record
    limit = starting.limit(pod, waiting, hold)
    if limit is None:
        return record
    if limit.at > step.now:
        step.wake(limit.at)
        return record
    if not pod.deleting:
        step.actions.append(DeletePod(pod.name, pod.uid, 0))
    return step.fail(job, record, limit.failure)


def _stopped(step: Step, record: JobRecord, pod: PodRecord, end: Stop, *, going: bool) -> JobRecord:
    """Stop an attempt; its record becomes final once nothing of it runs any more.

    One that had ended well before is not stopped: perhaps its outputs were committed already.
    """
    step.stop([pod], grace=step.seen.cancel_grace if step.seen.cancel else None)
    if going and pod.node and not pod.terminal:
        return replace(
            record,
            phase=_phase_of(pod),
            reason=clocks.RUN_OVER if end is step.over else "Cancelling",
            message=end.message,
        )
    return replace(
        record,
        phase=JobPhase.CANCELLED,
        reason=end.reason,
        message=end.message,
        finished_at=record.finished_at or step.now,
    )


def _timed_out(
    step: Step,
    job: CompiledJob,
    record: JobRecord,
    pod: PodRecord,
    *,
    going: bool,
    failure: Failure,
) -> JobRecord:
    """Stop an attempt that ran too long; it has failed once nothing of it runs any more."""
    step.stop([pod])
    if going and pod.node and not pod.terminal:
        return replace(record, phase=_phase_of(pod), reason=failure.reason, message=failure.message)
    return step.fail(job, record, failure)


def _phase_of(pod: PodRecord) -> JobPhase:
    if pod.main is None or pod.main.started_at is None:
        return JobPhase.STARTING
    return JobPhase.UPLOADING if pod.main.terminated else JobPhase.RUNNING
