"""A claim that only one node can mount holds its users to that node.

The planner does not look at nodes. It knows where users of the claim have run, and that is where
the volume is, unless the storage can move it; so what is said of that node is said with care.
"""

from dataclasses import dataclass

from gradient_operator.engine.model import JobPhase, JobRecord, Observation
from gradient_operator.engine.step import Step
from gradient_operator.engine.volumes import volume_keys
from gradient_operator.workflow.model import CompiledJob

_AT_WORK = frozenset({JobPhase.RUNNING, JobPhase.UPLOADING})


@dataclass(frozen=True, slots=True)
class Hold:
    """Where a job's claims are, and who else uses them.

    `busy`: another job works on one of them now. `free_since`: when the last other one ended, in
    seconds since the epoch; 0 if none has.
    """

    node: str = ""
    busy: bool = False
    free_since: float = 0.0


def held_claims(seen: Observation, job: CompiledJob) -> tuple[str, ...]:
    """The claims of a job that only one node can mount, each once."""
    volumes = [seen.volumes[key] for key in volume_keys(job) if key in seen.volumes]
    claims = (volume.claim for volume in volumes if volume.mode == "ReadWriteOnce")
    return tuple(dict.fromkeys(claim for claim in claims if claim is not None))


def find_hold(step: Step, job: CompiledJob, record: JobRecord) -> Hold:
    """What holds a job whose Pod waits for a node; its own last attempt counts, too."""
    claims = held_claims(step.seen, job)
    users = {name for claim in claims for name in step.seen.claim_users.get(claim, ())}
    others = [step.ledger[name] for name in users - {job.name} if name in step.ledger]
    nodes = [each.node for each in (record, *others) if each.node] if claims else []
    return Hold(
        node=nodes[0] if nodes else "",
        busy=any(other.phase in _AT_WORK for other in others),
        free_since=max((other.finished_at or 0.0 for other in others), default=0.0),
    )
