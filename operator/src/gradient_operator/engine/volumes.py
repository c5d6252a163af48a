"""How each volume of a run is kept: one shared claim, one claim on one node, or copies.

A claim that only one node can mount must never be needed on two: that job would wait for ever. So
`ReadWriteOnce` is chosen only when all users of the volume can be placed alike; otherwise the
volume travels through object storage. And volumes that meet in one job are folders of one claim:
two claims might have been bound to two nodes before that job starts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from gradient_operator.api.base import times
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.workflow import VolumePolicy
from gradient_operator.engine.model import JobPhase, JobRecord, VolumeRecord
from gradient_operator.engine.placement import merge
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
    gathered = _gathered(workflow)
    choice = _Choice(workflow, policy, instance_types, read_write_many_class, gathered)
    used = users(workflow)
    records = {key: choice.alone(key, jobs) for key, jobs in used.items()}
    for group in _groups({key: used[key] for key in used if records[key].mode == "ReadWriteOnce"}):
        records |= choice.together(group, records)
    return {key: _named(record, run=run, key=key) for key, record in records.items()}


def _gathered(workflow: CompiledWorkflow) -> frozenset[str]:
    """The volumes that a job takes from every combination of a matrix."""
    return frozenset(
        volume_key(item.job, item.output)
        for job in workflow.jobs.values()
        for item in job.inputs
        if isinstance(item, OutputInput) and item.type == "volume" and "/" in item.name
    )


def _named(record: VolumeRecord, *, run: str, key: str) -> VolumeRecord:
    if record.mode == "Copy":
        return record
    return replace(record, claim=object_name(f"{run}-{record.claim or key}", limit=63))


def claim_users(
    workflow: CompiledWorkflow, volumes: Mapping[str, VolumeRecord]
) -> dict[str, tuple[str, ...]]:
    """For each claim, the jobs that mount it; derived once, as it looks at every job."""
    if not volumes:
        return {}
    found: dict[str, dict[str, None]] = {}
    for key, jobs in users(workflow).items():
        claim = volumes[key].claim if key in volumes else None
        if claim is not None:
            found.setdefault(claim, {}).update(dict.fromkeys(jobs))
    return {claim: tuple(jobs) for claim, jobs in found.items()}


def claim_size(policy: VolumePolicy, claim: str, volumes: Mapping[str, VolumeRecord]) -> str:
    """What a claim asks for: the size of one volume, for each of those that share it."""
    return times(policy.size, sum(volume.claim == claim for volume in volumes.values()))


def placed(
    machine: InstanceTypeSpec, others: Iterable[InstanceTypeSpec | None]
) -> InstanceTypeSpec:
    """A machine type, on the nodes of all that share its claims of one node.

    Where they cannot be merged (the policy wanted it so, or a type has changed) it is its own.
    """
    placement = merge([machine, *(other for other in others if other is not None)])
    return machine if placement is None else placement.on(machine)


def unused_claims(
    jobs_of: Mapping[str, Iterable[str]], ledger: Mapping[str, JobRecord]
) -> set[str]:
    """The claims that had users, all of which have ended for good; `jobs_of` names the users.

    A claim is made before its user's Pod, which may then be refused until the job is cancelled.
    """
    return {
        claim
        for claim, jobs in jobs_of.items()
        if all(ledger[job].phase.final for job in jobs)
        and any(ledger[job].attempt or ledger[job].phase is JobPhase.CANCELLED for job in jobs)
    }


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the modes of a run's volumes depend on."""

    workflow: CompiledWorkflow
    policy: VolumePolicy
    instance_types: Mapping[str, InstanceTypeSpec]
    read_write_many_class: str | None
    gathered: frozenset[str] = frozenset()

    def alone(self, key: str, jobs: tuple[str, ...]) -> VolumeRecord:
        """The mode of a volume as if there were no other."""
        if self.policy.mode != "Auto" and not (_is_legacy(key) and self.policy.mode == "Copy"):
            return VolumeRecord(self.policy.mode, "policy.volumes.mode says so")
        if self._shared_by_all():
            text = f"storage class {self.read_write_many_class} serves ReadWriteMany"
            return VolumeRecord("ReadWriteMany", text)
        if key in self.gathered:
            text = "a job takes it from every combination of a matrix, which need not share a node"
            return VolumeRecord("Copy", text)
        if self._fit(jobs):
            return VolumeRecord("ReadWriteOnce", self._why_one(jobs))
        if _is_legacy(key):
            return VolumeRecord(
                "ReadWriteOnce",
                "a volume without a source is written by all its users, so it cannot be copied",
            )
        return VolumeRecord("Copy", self._why_copies(jobs))

    def together(
        self, group: Mapping[str, tuple[str, ...]], records: Mapping[str, VolumeRecord]
    ) -> dict[str, VolumeRecord]:
        """What becomes of volumes for one node that meet in jobs: `claim` is the first's key."""
        if len(group) == 1:
            return {}
        jobs = tuple(dict.fromkeys(job for found in group.values() for job in found))
        if self.policy.mode == "Auto" and not self._fit(jobs):
            text = self._why_copies(jobs)
            return {key: VolumeRecord("Copy", text) for key in group if not _is_legacy(key)}
        first = next(iter(group))
        return {
            key: replace(records[key], claim=first, folder=key, reason=_shared(key, group, records))
            for key in group
        }

    def _shared_by_all(self) -> bool:
        """Whether the class that the claims will have is known to serve ReadWriteMany."""
        known = self.read_write_many_class
        return known is not None and self.policy.storage_class in {None, known}

    def _fit(self, jobs: Iterable[str]) -> bool:
        return merge(self._machine(job) for job in jobs) is not None

    def _machine(self, job: str) -> InstanceTypeSpec:
        return self.instance_types[self.workflow.jobs[job].instance_type]

    def _why_one(self, jobs: tuple[str, ...]) -> str:
        if len(jobs) == 1:
            return "it has one user"
        narrowest = max(jobs, key=lambda job: len(self._machine(job).node_selector))
        selector = self._machine(narrowest).node_selector
        if all(self._machine(job).node_selector == selector for job in jobs):
            return "all its users run on one pool"
        return f"all its users can run where {narrowest} must"

    def _why_copies(self, jobs: tuple[str, ...]) -> str:
        first, second = next(pair for pair in combinations(jobs, 2) if not self._fit(pair))
        return f"{first} and {second} run on different pools, and no class serves ReadWriteMany"


def _is_legacy(key: str) -> bool:
    return key.startswith(f"{SHARED}.")


def _shared(
    key: str, group: Mapping[str, tuple[str, ...]], records: Mapping[str, VolumeRecord]
) -> str:
    """The reason of a volume that shares its claim, with the job that makes it so."""
    both, other = next(
        (job, name) for job in group[key] for name in group if name != key and job in group[name]
    )
    return f"{records[key].reason}; one claim with {other}, as {both} uses both"


def _groups(used: Mapping[str, tuple[str, ...]]) -> list[dict[str, tuple[str, ...]]]:
    """The volumes, those that meet in a job, directly or by others, together; in their order."""
    groups: list[dict[str, tuple[str, ...]]] = []
    for key, jobs in used.items():
        met = [group for group in groups if any(set(jobs) & set(of) for of in group.values())]
        rest = [group for group in groups if group not in met]
        joined = {name: of for group in met for name, of in group.items()}
        groups = [*rest, {**joined, key: jobs}]
    return groups
