"""Whether the `if` of a job holds, once its needs have ended. Pure: values come from the ledger."""

from collections.abc import Iterable, Mapping

from gradient_operator.engine.model import JobPhase, JobRecord
from gradient_operator.engine.needs import went_on
from gradient_operator.workflow import cel
from gradient_operator.workflow.expression import ExpressionProblem
from gradient_operator.workflow.model import CompiledJob, CompiledWorkflow, Condition


def holds(
    workflow: CompiledWorkflow,
    job: CompiledJob,
    ledger: Mapping[str, JobRecord],
    *,
    cancelled: bool,
) -> bool:
    """The value of the job's condition; true without one. `cancelled`: the run is.

    Raises:
        ExpressionProblem: it cannot be told, as when a number is asked of text that is none.
    """
    condition = job.condition
    if condition is None:
        return True
    asks = condition.asks
    status = {
        "success": "success" in asks and not cancelled and _all_went_on(workflow, job, ledger),
        "failure": "failure" in asks and not cancelled and _one_failed(workflow, job, ledger),
        "always": True,
        "cancelled": cancelled,
    }
    return cel.evaluate(
        condition.program,
        status=status,
        inputs=condition.inputs,
        matrix=condition.matrix,
        results={
            need: result(ledger[name].phase for name in names)
            for need, names in condition.needs.items()
        },
        outputs=_outputs(condition, ledger),
    )


def result(phases: Iterable[JobPhase]) -> str:
    """What `needs.JOB.result` says; of a matrix, the worst of its combinations."""
    found = set(phases)
    if JobPhase.FAILED in found:
        return "failure"
    if JobPhase.CANCELLED in found:
        return "cancelled"
    return "success" if JobPhase.SUCCEEDED in found else "skipped"


def _all_went_on(
    workflow: CompiledWorkflow, job: CompiledJob, ledger: Mapping[str, JobRecord]
) -> bool:
    return all(went_on(workflow.jobs[need], ledger[need].phase) for need in job.needs)


def _one_failed(
    workflow: CompiledWorkflow, job: CompiledJob, ledger: Mapping[str, JobRecord]
) -> bool:
    """Whether a job before this one has failed: those between may have been omitted for it."""
    before = set(job.needs)
    waiting = list(before)
    while waiting:
        other = workflow.jobs[waiting.pop()]
        if ledger[other.name].phase is JobPhase.FAILED and not other.continue_on_error:
            return True
        waiting += [need for need in other.needs if need not in before]
        before.update(other.needs)
    return False


def _outputs(condition: Condition, ledger: Mapping[str, JobRecord]) -> dict[str, dict[str, str]]:
    """The strings that the condition reads; what was not written is empty, as on GitHub."""
    found: dict[str, dict[str, str]] = {}
    for job, output in condition.outputs:
        record = ledger[job].outputs.get(output)
        if record is not None and record.value is None:
            raise ExpressionProblem(
                f"cannot be told: {job}.outputs.{output} is too long for a condition (more than "
                "256 bytes); write what decides into an output of its own"
            )
        text = record.value if record is not None and record.value is not None else ""
        found.setdefault(job, {})[output] = text.rstrip("\r\n")
    return found
