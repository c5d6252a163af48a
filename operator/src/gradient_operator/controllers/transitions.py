"""What happened between two ledgers: told as Events and counted in the metrics, once each."""

from collections.abc import Mapping, Sequence
from typing import Final

from gradient_operator.api import names
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Key, Services
from gradient_operator.datasets.report import decode_report
from gradient_operator.engine.model import Failure, JobPhase, JobRecord, PodRecord, RunPhase
from gradient_operator.kube.recorder import ObjectReference

_NEW: Final = JobRecord()


def reference(state: RunState) -> ObjectReference:
    """The run, as its Events name it."""
    run = state.identity
    return ObjectReference(names.API_VERSION, "GradientRun", run.name, run.namespace, run.uid)


def tell(
    services: Services,
    state: RunState,
    *,
    before: Mapping[str, JobRecord],
    failures: Sequence[tuple[str, Failure]],
    pods: Mapping[tuple[str, int], PodRecord],
) -> None:
    """Tell of every job that changed its phase, and of every attempt that failed."""
    for job, failure in failures:
        _attempt_failed(services, state, job, failure)
    for name, record in state.ledger.items():
        old = before.get(name, _NEW)
        if record is old:
            continue
        if record.started_at is not None and old.started_at is None:
            _started(services, state, name, record, pods.get((name, record.attempt)))
            _moved(services, "fetch", pods.get((name, record.attempt)))
        if record.phase is not old.phase:
            _changed(services, state, name, record)
            if record.phase is JobPhase.SUCCEEDED:
                _moved(services, "upload", pods.get((name, record.attempt)))


def _attempt_failed(services: Services, state: RunState, job: str, failure: Failure) -> None:
    services.metrics.job_failures_total.labels(failure.kind.value).inc()
    record = state.ledger[job]
    again = record.phase is JobPhase.PENDING
    if again:
        services.metrics.job_retries_total.labels(failure.kind.value).inc()
    services.recorder.record(
        reference(state),
        type="Warning",
        reason="JobRetrying" if again else "JobFailed",
        note=f"job {job}, attempt {record.attempt}: {failure.message}",
    )


def _changed(services: Services, state: RunState, name: str, record: JobRecord) -> None:
    if record.phase is JobPhase.SUCCEEDED:
        note = f"job {name} succeeded"
        if record.source:
            note = f"job {name} was {record.message}"
        services.recorder.record(reference(state), type="Normal", reason="JobSucceeded", note=note)
    elif record.phase is JobPhase.OMITTED:
        note = f"job {name} is omitted: {record.message}"
        services.recorder.record(reference(state), type="Normal", reason="JobOmitted", note=note)
    elif record.phase is JobPhase.SKIPPED:
        note = f"job {name} is skipped: {record.message}"
        services.recorder.record(reference(state), type="Normal", reason="JobSkipped", note=note)
    elif record.phase is JobPhase.CANCELLED and record.reason == "FailFast":
        note = f"job {name} is cancelled: {record.message}, and fail-fast is on"
        services.recorder.record(reference(state), type="Normal", reason="JobCancelled", note=note)
    if record.phase.final and record.started_at is not None:
        _ended(services, state, name, record)


def _started(
    services: Services, state: RunState, name: str, record: JobRecord, pod: PodRecord | None
) -> None:
    if pod is None:
        return  # a job of the operator itself
    machine = state.workflow.jobs[name].instance_type
    metrics = services.metrics
    if pod.created_at is not None and pod.scheduled_at is not None:
        metrics.job_wait_scheduling_seconds.labels(machine).observe(
            max(0.0, pod.scheduled_at - pod.created_at)
        )
    if pod.scheduled_at is not None and record.started_at is not None:
        metrics.job_wait_start_seconds.labels(machine).observe(
            max(0.0, record.started_at - pod.scheduled_at)
        )
    services.recorder.record(
        reference(state), type="Normal", reason="JobStarted", note=f"job {name} runs on {pod.node}"
    )


def _moved(services: Services, direction: str, pod: PodRecord | None) -> None:
    """Count what a helper says that it has moved."""
    container = None if pod is None else pod.fetch if direction == "fetch" else pod.uploader
    if container is None or container.exit_code != 0:
        return
    report = decode_report(container.message)
    if report is None:
        return
    metrics = services.metrics
    metrics.transfer_bytes_total.labels(direction).inc(report.bytes)
    metrics.transfer_files_total.labels(direction).inc(report.files)
    metrics.transfer_seconds_total.labels(direction).inc(report.seconds)
    for result, count in (("hit", report.cache_hits), ("miss", report.cache_misses)):
        if count:
            metrics.blob_cache_requests_total.labels(result).inc(count)
    metrics.blob_cache_bytes_total.inc(report.cache_bytes)


def _ended(services: Services, state: RunState, name: str, record: JobRecord) -> None:
    seconds = max(0.0, (record.finished_at or services.clock()) - (record.started_at or 0))
    machine = state.workflow.jobs[name].instance_type
    services.metrics.job_duration_seconds.labels(machine, record.phase.value).observe(seconds)
    spec = services.definitions.instance_types.get(machine)
    if spec is not None and spec.gpu is not None:
        services.metrics.gpu_seconds_total.labels(
            state.identity.namespace, machine, "requested"
        ).inc(seconds * spec.gpu.count)


def run_ended(
    services: Services, view: RunView, phase: RunPhase, *, state: RunState | None
) -> None:
    """Tell of the end of a run; without a state it never began, and who refused it has said so."""
    services.metrics.runs_finished_total.labels(phase.value).inc()
    if view.workflow:
        services.queue.add(Key("workflow", view.namespace, view.workflow))
    if state is not None:
        services.recorder.record(
            reference(state),
            type="Normal" if phase is RunPhase.SUCCEEDED else "Warning",
            reason=f"Run{phase.value}",
            note=state.message or f"the run has ended: {phase.value}",
        )
