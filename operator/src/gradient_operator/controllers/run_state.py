"""What the operator remembers of a run under way: all of it can be had again from the API server.

The ledger here is ahead of the run's status by what was not written yet; it is never behind, for
the leading operator is its only writer.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradient_operator.api.policy import Timeouts
from gradient_operator.api.workflow import Policy
from gradient_operator.controllers.ledger import Dumped
from gradient_operator.controllers.pinning import Pinned
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_pace import Pace
from gradient_operator.engine.model import (
    Found,
    JobPhase,
    JobRecord,
    PodRecord,
    RunPhase,
    UploadResult,
    VolumeRecord,
)
from gradient_operator.engine.suspension import Suspension
from gradient_operator.pods.request import RunIdentity, Storage
from gradient_operator.workflow.model import CompiledWorkflow


@dataclass(slots=True)
class RunState:
    """One run under way."""

    identity: RunIdentity
    workflow: CompiledWorkflow
    policy: Policy
    provider: str | None
    storage: Storage | None
    spec_digest: str = ""
    """Of the run's spec, for the provenance of what it makes."""
    repository: str = ""
    storage_error: str = ""
    """Why the run has no storage provider at all."""
    storage_claim: str | None = None
    ledger: Mapping[str, JobRecord] = field(default_factory=dict)
    adopted: bool = False
    """Whether jobs were taken over from other runs when this one began."""
    pinned: Mapping[str, Pinned] = field(default_factory=dict)
    volumes: dict[str, VolumeRecord] = field(default_factory=dict)
    volumes_chosen: bool = False
    """Whether each volume has a mode."""
    results: dict[str, UploadResult] = field(default_factory=dict)
    """Full results that were read from object storage, by Pod UID."""
    committed: set[str] = field(default_factory=set)
    aborted: set[str] = field(default_factory=set)
    """UIDs of Pods whose upload was told to stop."""
    models: dict[str, str] = field(default_factory=dict)
    claim_users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The jobs that mount each claim; follows from workflow and volumes."""
    claims: set[str] = field(default_factory=set)
    """Claims that exist."""
    dropped: set[str] = field(default_factory=set)
    """Claims that were deleted, as nobody uses them any more."""
    mount_problems: dict[str, str] = field(default_factory=dict)
    """What the kubelet said of Pods that do not start, by UID."""
    ask_again_at: float = 0.0
    """Not before then the Events of such Pods are read again, in seconds since the epoch."""
    silent_nodes: frozenset[str] = frozenset()
    """Nodes that have stopped reporting, of Pods that should end."""
    nodes_asked_at: float = 0.0
    """When these nodes were asked for last."""
    found: dict[str, Found | None] = field(default_factory=dict)
    """What earlier runs have of jobs whose results may be reused; None: nothing."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why the API server refused a job's Pod or model."""
    phase: RunPhase = RunPhase.PENDING
    message: str = ""
    started_at: float | None = None
    suspension: Suspension = field(default_factory=Suspension)
    ceilings: Timeouts | None = None
    """The most that the configuration allows in this namespace."""
    written: dict[str, Any] = field(default_factory=dict)
    """The status as the API server has acknowledged it."""
    written_at: float = float("-inf")
    """When it was written last, on the monotonic clock."""
    pace: Pace = field(default_factory=Pace)
    dumped: Dumped = field(default_factory=dict)
    """Its jobs as they were dumped last: of a thousand few have changed a second later."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is written: what was written before must be known by then."""
    version: str = ""
    """The run's version that the last write of its status was answered with."""
    planned: int = 0
    """The generation of the run that the last plan was made of."""
    gave_way: bool = False
    """Whether the last plan has Pods that were not made, as it was the turn of others."""
    held: bool = False
    """Whether the run carries the finalizer that keeps it until its Pods were stopped."""
    noticed_at: float = 0.0
    """When the present look at the run began, on the monotonic clock."""

    @property
    def input_digests(self) -> Mapping[str, str]:
        """The digests of dataset inputs, where results may be reused."""
        if not self.policy.reuse and not any(job.reuse for job in self.policy.jobs.values()):
            return {}
        return {text: pinned.digest for text, pinned in self.pinned.items()}

    @property
    def decisions_recorded(self) -> bool:
        """Whether what was decided at the start stands in the status: no Pod may be made before."""
        return (
            (not self.pinned or "inputs" in self.written)
            and (not self.volumes or "volumes" in self.written)
            and (not self.adopted or "jobs" in self.written)
        )

    def ended(self, pod: PodRecord) -> bool:
        """Whether the acknowledged status holds the end of the attempt that this Pod was."""
        job = self.written.get("jobs", {}).get(pod.job, {})
        attempt = job.get("attempt", 0)
        if pod.attempt != attempt:
            return bool(pod.attempt < attempt)
        phase = JobPhase(job.get("phase", JobPhase.PENDING))
        return phase.final or phase is JobPhase.PENDING


def identity_of(view: RunView, git_sha: str) -> RunIdentity:
    """The part of a run that its Pods carry."""
    return RunIdentity(
        name=view.name,
        uid=view.uid,
        namespace=view.namespace,
        workflow=view.workflow,
        git_sha=git_sha,
    )
