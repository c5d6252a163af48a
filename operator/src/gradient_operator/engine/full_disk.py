"""Says so when a job failed because a disk was full, and which one, as far as that can be known.

Kubernetes does not tell: a claim that is full makes no Event and no condition, and its fill level
stands only in the metrics of kubelets, which the operator may not read. What is known are the last
lines that the job printed. They name the error, and often the path.
"""

import re
from dataclasses import replace
from typing import Final

from gradient_operator.engine.model import Failure, Observation, VolumeRecord
from gradient_operator.engine.volumes import SHARED, claim_size, volume_key
from gradient_operator.workflow.model import CompiledJob, OutputInput, SharedVolumeInput

_FULL: Final = re.compile(r"no space left on device|disk quota exceeded|\bENOSPC\b", re.IGNORECASE)
"""As libc, Python, Go, Rust, Java and Node say it."""


def explain(failure: Failure, job: CompiledJob, seen: Observation) -> Failure:
    """The failure of main with the disk that was full, its size and the remedy, if one was."""
    if failure.reason != "ExitCode":
        return failure
    lines = [line for line in failure.message.splitlines() if _FULL.search(line)]
    if not lines:
        return failure
    reason, text = _say(job, seen, lines[-1])
    return replace(failure, reason=reason, message=f"{text}; {failure.message}")


def _say(job: CompiledJob, seen: Observation, line: str) -> tuple[str, str]:
    places = _places(job, seen)
    claims = {path: volume for path, volume in places.items() if volume.claim is not None}
    named = next((path for path in sorted(places, reverse=True) if _names(line, path)), None)
    if named in claims:
        size = _size(seen, claims[named])
        return "VolumeFull", (
            f"the volume at {named} is full: its claim asks for {size}, set policy.volumes.size to "
            "more (each run makes new claims)"
        )
    if named is None and claims:
        listed = ", ".join(f"{path} ({_size(seen, one)})" for path, one in claims.items())
        return "DiskFull", (
            f"a disk was full, perhaps its volume {listed}: then set policy.volumes.size to more; "
            "else it was the disk of the node"
        )
    return "DiskFull", (
        "the disk of its node was full: all that a job writes outside of volumes with a claim lies "
        "there, /outputs and copied volumes included; write less, or choose another machine type"
    )


def _names(line: str, path: str) -> bool:
    return re.search(rf"{re.escape(path)}(?![\w.-])", line) is not None


def _places(job: CompiledJob, seen: Observation) -> dict[str, VolumeRecord]:
    """Where main sees the job's volumes."""
    found = {
        f"/outputs/{output.name}": volume_key(job.name, output.name)
        for output in job.outputs
        if output.type == "volume"
    }
    for item in job.inputs:
        if isinstance(item, OutputInput) and item.type == "volume":
            found[f"/inputs/{item.name}"] = volume_key(item.job, item.output)
        elif isinstance(item, SharedVolumeInput):
            found[f"/inputs/{item.name}"] = volume_key(SHARED, item.name)
    return {path: seen.volumes[key] for path, key in found.items() if key in seen.volumes}


def _size(seen: Observation, volume: VolumeRecord) -> str:
    return claim_size(seen.policy.volumes, volume.claim or "", seen.volumes)
