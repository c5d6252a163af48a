"""What keeps the Pod of a ready job from being made: a machine type, object storage."""

from gradient_operator.engine.model import JobRecord, Observation
from gradient_operator.engine.volumes import volume_keys
from gradient_operator.workflow.model import CompiledJob, DatasetInput, OutputInput
from gradient_operator.workflow.nearest import nearest


def obstacle(seen: Observation, job: CompiledJob) -> tuple[str, str] | None:
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


def needs_storage(seen: Observation, job: CompiledJob) -> bool:
    """Whether the job's Pod reads or writes object storage."""
    for output in job.outputs:
        if output.type != "volume" or copied(seen, job.name, output.name):
            return True
    for item in job.inputs:
        if isinstance(item, DatasetInput):
            return True
        if isinstance(item, OutputInput):
            record = seen.ledger.get(item.job, JobRecord()).outputs.get(item.output)
            if record is not None and record.value is None:
                return True
    return False


def copied(seen: Observation, job: str, output: str) -> bool:
    """Whether a volume travels as a copy through object storage."""
    volume = seen.volumes.get(f"{job}.{output}")
    return volume is not None and volume.mode == "Copy"
