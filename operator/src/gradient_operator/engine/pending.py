"""A job without an attempt under way: it waits, never runs, or its next Pod is made."""

from dataclasses import replace

from gradient_operator.engine import clocks, condition, parallel, reuse, suspension
from gradient_operator.engine.actions import CreatePod, RegisterModel
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord, OutputRecord
from gradient_operator.engine.needs import Readiness, not_made, readiness
from gradient_operator.engine.obstacle import obstacle
from gradient_operator.engine.step import Step
from gradient_operator.engine.waiting import refused
from gradient_operator.workflow.expression import ExpressionProblem
from gradient_operator.workflow.model import Action, CompiledJob


def pending(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord:
    """What becomes of a job none of whose attempts is under way."""
    why = step.why_stop(job)
    if why is not None:
        return replace(
            record,
            phase=JobPhase.CANCELLED,
            reason=why.reason,
            message=why.message,
            retry_at=None,
        )
    ended = _not_started(step, job, record)
    if ended is not None:
        return ended
    held = _held(step, record)
    if held is not None:
        return held
    ready_at = step.now if record.ready_at is None else record.ready_at
    record = replace(record, ready_at=ready_at)
    late = _late(step, job, record)
    if late is not None:
        return step.fail(job, record, late)
    if job.action is Action.CREATE_MODEL:
        return _model(step, job, record)
    record, anew = reuse.look(step, job, record)
    return _make(step, job, record) if anew else record


def _make(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord:
    """Make the Pod of the next attempt, or say what keeps it from being made."""
    if job.base and step.room[job.base] <= 0:
        return replace(record, **parallel.waits(step.seen.workflow.matrices[job.base], job.base))
    found = obstacle(step.seen, job)
    if found is not None:
        return replace(record, reason=found[0], message=found[1])
    if job.base:
        step.room[job.base] -= 1
    if step.limited:
        step.line.append(job.name)
        return record
    return start(step, job, record)


def start(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord:
    """Have the next Pod of a job made."""
    step.actions.append(CreatePod(job.name, record.attempt + 1))
    if job.name in step.seen.problems:
        text = step.seen.problems[job.name]
        return replace(record, reason=refused(text), message=text)
    return replace(record, reason=None, message=None)


def _not_started(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord | None:
    """The record of a job that does not start, now or ever; None: it may."""
    workflow = step.seen.workflow
    state, need = readiness(workflow, job, step.ledger)
    if state is Readiness.WAITING:
        return record
    if state is not Readiness.READY:
        end = step.ledger[need].phase
        text = f"{need} {'failed' if end is JobPhase.FAILED else f'was {end.lower()}'}"
        phase = JobPhase.SKIPPED if state is Readiness.SKIPPED else JobPhase.OMITTED
        return replace(record, phase=phase, reason="NeedNotMet", message=text)
    if record.attempt > 0:
        return None
    try:
        if not condition.holds(workflow, job, step.ledger, cancelled=step.seen.cancel):
            return replace(
                record,
                phase=JobPhase.SKIPPED,
                reason="ConditionFalse",
                message="its `if` does not hold",
            )
    except ExpressionProblem as problem:
        failure = Failure(FailureClass.DATA, "ConditionError", f"its `if` {problem}")
        return step.fail(job, record, failure)
    lacking = not_made(job, step.ledger)
    if lacking:
        return replace(record, phase=JobPhase.OMITTED, reason="InputNotMade", message=lacking)
    return None


def _held(step: Step, record: JobRecord) -> JobRecord | None:
    """The record of a ready job that must not start now; None: it may."""
    if record.retry_at is not None and record.retry_at > step.now:
        step.wake(record.retry_at)
        return record
    if step.seen.suspended:
        message = record.message if record.attempt else None
        return replace(record, ready_at=None, reason=suspension.REASON, message=message)
    return None


def _late(step: Step, job: CompiledJob, record: JobRecord) -> Failure | None:
    """How a job has failed that has waited too long; None: it may wait on."""
    limit = clocks.waiting(step.seen, job, record, record.message or record.reason or "")
    if limit is None or limit.at <= step.now:
        return limit.failure if limit is not None else None
    step.wake(limit.at)
    return None


def _model(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord:
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
