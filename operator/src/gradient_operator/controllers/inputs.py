"""Resolves a job's inputs for its Pod: from the ledger, the pinned versions and the volumes."""

from collections.abc import Iterable, Mapping
from typing import Final

from gradient_operator.api.workflow import Policy
from gradient_operator.controllers.pinning import Pinned
from gradient_operator.engine.model import JobPhase, JobRecord, VolumeRecord
from gradient_operator.engine.volumes import SHARED, volume_key, volume_keys
from gradient_operator.pods.request import (
    ClaimedInput,
    FetchedInput,
    ResolvedInput,
    StoredString,
    StringValue,
)
from gradient_operator.workflow.model import (
    CompiledJob,
    DatasetInput,
    JobInput,
    OutputInput,
    SharedVolumeInput,
    StringInput,
)

_MOST_BASES: Final = 16
"""A Pod names them for each of its outputs."""


def resolve_inputs(
    job: CompiledJob,
    *,
    ledger: Mapping[str, JobRecord],
    pinned: Mapping[str, Pinned],
    volumes: Mapping[str, VolumeRecord],
    policy: Policy,
) -> tuple[ResolvedInput, ...]:
    """Every input of a job that starts.

    An optional dataset may be missing, and of a matrix what some combinations have not made.
    """
    return tuple(
        _resolve(item, ledger=ledger, pinned=pinned, volumes=volumes, policy=policy)
        for item in job.inputs
        if not _left_out(item, pinned) and not _never_made(item, ledger)
    )


def fetched_versions(found: Iterable[ResolvedInput]) -> tuple[str, ...]:
    """The digests of the trees that a job gets copies of: what it hands on is often in them."""
    fetched = (item for item in found if isinstance(item, FetchedInput))
    # Copied volumes first: what is not remembered of a large tree is sent again.
    ordered = sorted(fetched, key=lambda item: not item.writable)
    return tuple(dict.fromkeys(item.digest for item in ordered))[:_MOST_BASES]


def _left_out(item: JobInput, pinned: Mapping[str, Pinned]) -> bool:
    """Whether it is optional, and was not there when the run started."""
    return isinstance(item, DatasetInput) and item.optional and str(item.reference) not in pinned


def _never_made(item: JobInput, ledger: Mapping[str, JobRecord]) -> bool:
    return isinstance(item, OutputInput) and ledger[item.job].phase is not JobPhase.SUCCEEDED


def _resolve(
    item: JobInput,
    *,
    ledger: Mapping[str, JobRecord],
    pinned: Mapping[str, Pinned],
    volumes: Mapping[str, VolumeRecord],
    policy: Policy,
) -> ResolvedInput:
    match item:
        case StringInput(name, value):
            return StringValue(name, value)
        case DatasetInput(name, reference):
            version = pinned[str(reference)]
            return FetchedInput(name, version.digest, version.bytes)
        case SharedVolumeInput(name):
            return _claimed(name, volumes[volume_key(SHARED, name)], policy=policy, shared=True)
        case OutputInput():
            return _handed_on(item, ledger=ledger, volumes=volumes, policy=policy)


def _handed_on(
    item: OutputInput,
    *,
    ledger: Mapping[str, JobRecord],
    volumes: Mapping[str, VolumeRecord],
    policy: Policy,
) -> ResolvedInput:
    output = ledger[item.job].outputs.get(item.output)
    if item.type == "string":
        if output is None:
            # The job ended well without writing it: the file is there, and empty.
            return StringValue(item.name, "")
        if output.ref is not None:
            return StoredString(item.name, output.ref, item.output)
        return StringValue(item.name, output.value or "")
    if item.type == "volume":
        volume = volumes[volume_key(item.job, item.output)]
        if volume.mode != "Copy":
            return _claimed(item.name, volume, policy=policy, shared=False)
    if output is None or output.digest is None:
        raise ValueError(f"output {item.job}.{item.output} was not recorded")
    return FetchedInput(
        item.name,
        output.digest,
        output.bytes,
        writable=item.type == "volume" and not policy.volumes.read_only_inputs,
    )


def _claimed(name: str, volume: VolumeRecord, *, policy: Policy, shared: bool) -> ClaimedInput:
    if volume.claim is None:
        raise ValueError(f"volume {name} has no claim")
    read_only = policy.volumes.read_only_inputs and not shared
    return ClaimedInput(name, volume.claim, read_only, volume.folder)


def claims_of(job: CompiledJob, volumes: Mapping[str, VolumeRecord]) -> dict[str, VolumeRecord]:
    """The claims that a job mounts, by claim name."""
    found = [volumes[key] for key in volume_keys(job)]
    return {volume.claim: volume for volume in found if volume.claim is not None}
