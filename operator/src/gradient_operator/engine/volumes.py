"""How each volume of a run is kept: one shared claim, one claim on one node, or copies.

A claim that only one node can mount must never be needed on two: that job would wait for ever. So
`ReadWriteOnce` is chosen only when all users of the volume are placed alike; otherwise the volume
travels through object storage.
"""

from collections.abc import Mapping
from typing import Final

from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.workflow import VolumePolicy
from gradient_operator.engine.model import VolumeMode, VolumeRecord
from gradient_operator.workflow.model import (
    Action,
    CompiledJob,
    CompiledWorkflow,
    OutputInput,
    SharedVolumeInput,
)
from gradient_operator.workflow.references import object_name

SHARED: Final = "workflow"
"""Stands for the producer of a legacy volume, which has none; no job may be called so."""


def volume_key(job: str, output: str) -> str:
    """The name of a volume within its run."""
    return f"{job}.{output}"


def volume_keys(job: CompiledJob) -> tuple[str, ...]:
    """The volumes that a job mounts, or in mode Copy receives: its outputs first."""
    if job.action is Action.CREATE_MODEL:
        return ()  # it has no Pod
    keys = [volume_key(job.name, output.name) for output in job.outputs if output.type == "volume"]
    for item in job.inputs:
        if isinstance(item, OutputInput) and item.type == "volume":
            keys.append(volume_key(item.job, item.output))
        elif isinstance(item, SharedVolumeInput):
            keys.append(volume_key(SHARED, item.name))
    return tuple(dict.fromkeys(keys))


def users(workflow: CompiledWorkflow) -> dict[str, tuple[str, ...]]:
    """For each volume, the jobs that use it, its producer first."""
    found: dict[str, list[str]] = {}
    for job in workflow.jobs.values():
        for key in volume_keys(job):
            found.setdefault(key, []).append(job.name)
    return {key: tuple(jobs) for key, jobs in found.items()}


def choose(
    workflow: CompiledWorkflow,
    *,
    run: str,
    policy: VolumePolicy,
    instance_types: Mapping[str, InstanceTypeSpec],
    read_write_many_class: str | None,
) -> dict[str, VolumeRecord]:
    """Decide the mode of every volume, once, when the run starts.

    All machine types that the users name must be known.
    """
    return {
        key: _choose_one(
            key,
            jobs,
            workflow=workflow,
            run=run,
            policy=policy,
            instance_types=instance_types,
            read_write_many_class=read_write_many_class,
        )
        for key, jobs in users(workflow).items()
    }


def _choose_one(
    key: str,
    jobs: tuple[str, ...],
    *,
    workflow: CompiledWorkflow,
    run: str,
    policy: VolumePolicy,
    instance_types: Mapping[str, InstanceTypeSpec],
    read_write_many_class: str | None,
) -> VolumeRecord:
    claim = object_name(f"{run}-{key}", limit=63)
    legacy = key.startswith(f"{SHARED}.")
    if policy.mode != "Auto" and not (legacy and policy.mode == "Copy"):
        return _fixed(policy.mode, claim)
    if read_write_many_class is not None:
        text = f"storage class {read_write_many_class} serves ReadWriteMany"
        return VolumeRecord("ReadWriteMany", text, claim)
    places = {_placement(instance_types[workflow.jobs[job].instance_type]): job for job in jobs}
    if len(places) == 1:
        text = "all its users run on one pool" if len(jobs) > 1 else "it has one user"
        return VolumeRecord("ReadWriteOnce", text, claim)
    if legacy:
        text = "a volume without a source is written by all its users, so it cannot be copied"
        return VolumeRecord("ReadWriteOnce", text, claim)
    first, second = list(places.values())[:2]
    text = f"{first} and {second} run on different pools, and no class serves ReadWriteMany"
    return VolumeRecord("Copy", text)


def _fixed(mode: VolumeMode, claim: str) -> VolumeRecord:
    return VolumeRecord(mode, "policy.volumes.mode says so", None if mode == "Copy" else claim)


def _placement(machine: InstanceTypeSpec) -> tuple[object, ...]:
    """What decides on which nodes a job may run."""
    return (
        tuple(sorted(machine.node_selector.items())),
        tuple(sorted(toleration.model_dump_json() for toleration in machine.tolerations)),
    )
