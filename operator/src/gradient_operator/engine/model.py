"""The planner's data: what was recorded, and what was observed.

Times are seconds since the epoch. Records are frozen and small: tens of thousands of them live in
the operator's memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.policy import Timeouts
from gradient_operator.api.workflow import Policy
from gradient_operator.workflow.model import CompiledWorkflow


class JobPhase(StrEnum):
    """Where a job stands; the last five are final."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    UPLOADING = "Uploading"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"
    CANCELLED = "Cancelled"

    @property
    def final(self) -> bool:
        """Whether the job never changes again."""
        return self in _FINAL


_FINAL = frozenset(
    {
        JobPhase.SUCCEEDED,
        JobPhase.FAILED,
        JobPhase.SKIPPED,
        JobPhase.OMITTED,
        JobPhase.CANCELLED,
    }
)


class RunPhase(StrEnum):
    """Where a run stands; the last three are final."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def final(self) -> bool:
        """Whether the run never changes again."""
        return self in {RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.CANCELLED}


class FailureClass(StrEnum):
    """Why an attempt failed, as the metrics count it; each class has one budget."""

    USER = "user"
    OUT_OF_MEMORY = "oom"
    TIMEOUT = "timeout"
    DATA = "data"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    NODE_LOST = "node-lost"
    DELETED = "deleted"
    WAITING = "waiting"
    STARTING = "starting"
    IMAGE = "image"
    IMAGE_PULL = "image-pull"
    NOT_STARTED = "not-started"
    STORAGE = "storage"
    IDENTITY = "identity"
    UPLOAD = "upload"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed: class, CamelCase reason, a sentence, the user's exit code if any."""

    kind: FailureClass
    reason: str
    message: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """What a job handed on: a version (digest, bytes, files), or a string or where it lies."""

    digest: str | None = None
    bytes: int = 0
    files: int = 0
    version: str | None = None
    value: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job in the run's ledger, as its status holds it.

    A pending job with `attempt` n > 0 has ended its attempt n and waits for `retry_at`.
    """

    phase: JobPhase = JobPhase.PENDING
    attempt: int = 0
    user_failures: int = 0
    infra_failures: int = 0
    memory_failures: int = 0
    """Ends for lack of memory, where `policy.outOfMemory` gives them a budget of their own."""
    memory: str | None = None
    """The memory of the present attempt, or of the next, where it is more than its machine's."""
    pod: str | None = None
    pod_uid: str | None = None
    node: str | None = None
    ready_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    retry_at: float | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    source: str | None = None
    """RUN/JOB that made the outputs, where the job itself did not run."""
    key: str | None = None
    """What tells the same execution in another run, where `policy.reuse` is on."""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """One container's state: waiting (reason), running (since), or terminated (exit code)."""

    waiting_reason: str = ""
    waiting_message: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    image_id: str = ""
    """The image that it runs, with its digest, as the kubelet says."""

    @property
    def terminated(self) -> bool:
        """Whether it has ended."""
        return self.exit_code is not None

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.started_at is not None and self.exit_code is None


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A job's Pod, reduced to what decisions need."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    run_uid: str
    run: str
    job: str
    attempt: int
    machine: str = ""
    """Its machine type."""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    node: str = ""
    created_at: float | None = None
    scheduled_at: float | None = None
    unschedulable: str = ""
    disruption: str = ""
    disrupted_at: float | None = None
    unheard: bool = False
    """Whether the cluster has lost contact with its node while its containers ran."""
    deletion_at: float | None = None
    """When its deletion is due (the request plus the grace period); None: it is not deleted."""
    deletion_grace: int = 0
    """Seconds that its containers have to stop."""
    held: bool = False
    other_finalizers: tuple[str, ...] = ()
    has_uploader: bool = False
    has_action: bool = False
    """Whether main is one of our own helpers, whose message and exit code mean more."""
    main: ContainerRecord | None = None
    fetch: ContainerRecord | None = None
    uploader: ContainerRecord | None = None

    @property
    def terminal(self) -> bool:
        """Whether the Pod's phase is final."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def silent(self) -> bool:
        """Whether no container has started, and none says what it waits for."""
        listed = [item for item in (self.main, self.fetch, self.uploader) if item is not None]
        return not self.terminal and all(
            item.started_at is None
            and not item.terminated
            and item.waiting_reason in {"", "ContainerCreating", "PodInitializing"}
            for item in listed
        )

    @property
    def deleting(self) -> bool:
        """Whether somebody has asked for its deletion."""
        return self.deletion_at is not None

    @property
    def told_to_stop_at(self) -> float | None:
        """When somebody first wanted it to end: by a deletion, or the cluster by an eviction."""
        times = [self.disrupted_at] if self.disrupted_at is not None else []
        if self.deletion_at is not None:
            times.append(self.deletion_at - self.deletion_grace)
        return min(times, default=None)

    @property
    def main_ended(self) -> bool:
        """Whether the user's container has run and ended."""
        return self.main is not None and self.main.terminated


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What the uploader said, decoded: outputs by name, or why there are none.

    `truncated` means that the message did not hold it all: the whole stands in object storage.
    """

    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    error: str = ""
    reason: str = ""
    truncated: bool = False
    unreadable: bool = False
    refused: bool = False
    """The outputs were uploaded well, but they cannot be taken: no attempt would change that."""
    ref: str = ""
    """Where the whole stands in object storage."""


@dataclass(frozen=True, slots=True)
class Places:
    """Places outside the run, where there are limits: which jobs have one, what others wait for."""

    given: frozenset[str] = frozenset()
    told: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Reason and sentence, by machine type."""


VolumeMode = Literal["ReadWriteMany", "ReadWriteOnce", "Copy"]


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """How one volume of the run is kept; `claim` is None for Copy.

    Volumes that share a claim have a `folder` each in it; None is all of the claim.
    """

    mode: VolumeMode
    reason: str
    claim: str | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The result of an earlier run: RUN/JOB that made it, and what it is."""

    source: str
    outputs: Mapping[str, OutputRecord]


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a plan may depend on."""

    workflow: CompiledWorkflow
    policy: Policy
    ledger: Mapping[str, JobRecord]
    pods: Mapping[tuple[str, int], PodRecord]
    instance_types: Mapping[str, InstanceTypeSpec]
    results: Mapping[str, UploadResult] = field(default_factory=dict)
    """Decoded results by Pod UID."""
    committed: frozenset[str] = frozenset()
    """UIDs of Pods whose dataset versions were committed."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Model ids by job, of models that were registered."""
    volumes: Mapping[str, VolumeRecord] = field(default_factory=dict)
    claim_users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The jobs that mount each claim."""
    storage_problem: str = ""
    """Why object storage cannot be used now, as a sentence; empty while it can."""
    mount_problems: Mapping[str, str] = field(default_factory=dict)
    """What the kubelet said of Pods whose containers do not start, by Pod UID."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a job's Pod was refused by the API server, by job."""
    silent_nodes: frozenset[str] = frozenset()
    """Nodes of Pods that should end which have stopped reporting."""
    cancel: bool = False
    cancel_grace: int | None = None
    """Seconds that jobs get to end by themselves when the run is cancelled."""
    suspended: bool = False
    """Whether nothing new may start."""
    suspended_seconds: float = 0.0
    """For how long the run was suspended, all in all."""
    started_at: float | None = None
    """When the run was looked at first."""
    places: Places | None = None
    """None: nothing outside the run limits how many of its jobs are under way."""
    ceilings: Timeouts | None = None
    """The most that the operator's configuration allows in the run's namespace."""
    default_image: str = ""
    input_digests: Mapping[str, str] = field(default_factory=dict)
    """Of the pinned dataset inputs by their references; only where `policy.reuse` is on."""
    found: Mapping[str, Found | None] = field(default_factory=dict)
    """What was found of jobs whose results were looked for; None: nothing."""
