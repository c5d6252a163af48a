"""The planner: from an observation and the time to the whole next step of a run.

Invariants, each a property test: at most one Pod per job and attempt; no Pod before all needs have
ended, and ended well unless the job's `if` or their `continue-on-error` says otherwise; a final job
never changes; planning again from the outcome of a plan adds nothing.
"""

from dataclasses import replace

from gradient_operator.engine import (
    clocks,
    leftovers,
    parallel,
    queueing,
    stopping,
    suspension,
    verdict,
)
from gradient_operator.engine.actions import Plan
from gradient_operator.engine.attempt import observed
from gradient_operator.engine.model import Failure, FailureClass, JobPhase, JobRecord, Observation
from gradient_operator.engine.pending import pending, start
from gradient_operator.engine.step import Step
from gradient_operator.workflow.model import CompiledJob


def plan(seen: Observation, now: float) -> Plan:
    """Decide the next step; `now` in seconds since the epoch."""
    step = Step(seen, now, dict(seen.ledger))
    limit = clocks.run(seen)
    if limit is not None and limit.at > now:
        step.wake(limit.at)
    elif limit is not None:
        step.over = stopping.Stop(limit.failure.reason, limit.failure.message)
    workflow = seen.workflow
    for name, job in workflow.jobs.items():
        if not job.base:
            step.ledger[name] = _visit(step, job)
        elif workflow.matrices[job.base].jobs[0] == name:
            _visit_matrix(step, job.base)
    for name in queueing.chosen(step):
        step.ledger[name] = start(step, workflow.jobs[name], step.ledger[name])
    step.stop(
        pod
        for pod in seen.pods.values()
        if pod.job in step.ledger and leftovers.superseded(pod, step.ledger[pod.job])
    )
    borne = verdict.tolerated(workflow)
    phase = verdict.run_phase(step.ledger, cancel=seen.cancel, borne=borne)
    message = verdict.summary(step.ledger, borne=borne)
    if seen.suspended and not phase.final and not seen.cancel:
        message = suspension.message(step.ledger)
    return Plan(
        ledger=step.ledger,
        actions=tuple(step.actions),
        phase=phase,
        message=message,
        failures=tuple(step.failures),
        wake_at=step.wake_at,
        wants=tuple(step.wants),
    )


def _visit(step: Step, job: CompiledJob) -> JobRecord:
    record = step.ledger.get(job.name, JobRecord())
    if not record.phase.final:
        record = _advance(step, job, record)
    while record.phase is JobPhase.PENDING and (job.name, record.attempt + 1) in step.seen.pods:
        # Its failure was not recorded before a crash, but it was acted upon.
        record = _advance(step, job, record)
    return record


def _visit_matrix(step: Step, base: str) -> None:
    """Visit all combinations: those under way first, for they decide whether others may start."""
    workflow = step.seen.workflow
    matrix = workflow.matrices[base]
    before = {name: step.ledger.get(name, JobRecord()) for name in matrix.jobs}
    done = len(step.actions), len(step.failures), len(step.line)
    step.ledger |= before
    while True:
        found = stopping.failed(workflow, matrix, step.ledger)
        if found is not None:
            step.failed[base] = found
        step.ledger |= before
        del step.actions[done[0] :], step.failures[done[1] :], step.line[done[2] :]
        waiting = [name for name in matrix.jobs if _waits(step, name)]
        for name in matrix.jobs:
            if name not in waiting:
                step.ledger[name] = _visit(step, workflow.jobs[name])
        step.room[base] = parallel.room(matrix, step.ledger)
        for name in waiting:
            step.ledger[name] = _visit(step, workflow.jobs[name])
        if base in step.failed or stopping.failed(workflow, matrix, step.ledger) is None:
            return


def _waits(step: Step, name: str) -> bool:
    record = step.ledger[name]
    return record.phase is JobPhase.PENDING and (name, record.attempt + 1) not in step.seen.pods


def _advance(step: Step, job: CompiledJob, record: JobRecord) -> JobRecord:
    if record.phase is JobPhase.PENDING:
        pod = step.seen.pods.get((job.name, record.attempt + 1))
        if pod is None:
            return pending(step, job, record)
        # Created before a crash, or just now: the Pod is the truth, the ledger follows.
        record = replace(record, attempt=record.attempt + 1, retry_at=None, reason=None)
        return observed(step, job, record, pod)
    pod = step.seen.pods.get((job.name, record.attempt))
    if pod is None:
        later = step.seen.pods.get((job.name, record.attempt + 1))
        if later is not None:
            # The end of the attempt before was lost in a crash; that there is another proves it.
            failures = record.infra_failures + 1
            record = replace(record, attempt=record.attempt + 1, infra_failures=failures)
            return observed(step, job, record, later)
        text = f"Pod {record.pod} vanished before its result was recorded"
        return step.fail(job, record, Failure(FailureClass.LOST, "PodLost", text))
    return observed(step, job, record, pod)
