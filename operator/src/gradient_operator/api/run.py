"""`GradientRun`: one execution. Of its spec `cancel` and `suspend` change; its status holds all."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gradient_operator.api.base import (
    ATOMIC,
    MAX_JOBS,
    MAX_NAME,
    MAX_SLOTS,
    Conditions,
    Digest,
    Model,
    Name,
    ObjectName,
    Open,
    ShortText,
    Text,
    Timestamp,
)
from gradient_operator.api.workflow import DatasetReference, GradientFile, Policy

JobPhaseName = Literal[
    "Pending",
    "Starting",
    "Running",
    "Uploading",
    "Succeeded",
    "Failed",
    "Skipped",
    "Omitted",
    "Cancelled",
]
RunPhaseName = Literal["Pending", "Running", "Succeeded", "Failed", "Cancelled"]


class RunTrigger(Open):
    """What started the run: a changed spec, a time of `on.schedule`, or a person."""

    kind: Literal["Spec", "Schedule", "Manual"] = "Manual"
    spec_hash: ShortText | None = None
    scheduled_time: Timestamp | None = None
    """The time for which a run of kind Schedule was started."""


class RunInput(Open):
    """A value given for a workflow-level input, in the shape of its `with`."""

    ref: DatasetReference | None = None
    id: DatasetReference | None = None
    value: Text | None = None


class RerunOf(Open):
    """An earlier run of the same definition, which this one does again, wholly or in part."""

    name: ObjectName
    """The run; it must have ended, and it must still be there when this one starts."""
    uid: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Its UID, so that no other run of that name is meant."""
    jobs: Literal["All", "Failed"] = "All"
    """All: every job runs again, on the input versions of the earlier run. Failed: jobs that
    succeeded are taken over with what they made, unless a volume of theirs is needed again."""
    from_: Annotated[list[Name], Field(alias="from", max_length=MAX_JOBS)] = []
    """With Failed: jobs that run again though they succeeded, and all that come after them."""


class RunSpec(Open):
    """An immutable copy of the definition, the values of its inputs, and what started it."""

    workflow: Annotated[str, StringConstraints(max_length=MAX_NAME)] = ""
    """The GradientWorkflow that this run belongs to."""
    trigger: RunTrigger = RunTrigger()
    definition: Annotated[GradientFile, Field(json_schema_extra=ATOMIC)]
    policy: Policy | None = None
    inputs: Annotated[dict[Name, RunInput], Field(max_length=MAX_SLOTS)] | None = None
    """Values for the workflow-level inputs of the definition."""
    rerun_of: RerunOf | None = None
    """The earlier run that this one does again."""
    cancel: bool = False
    """Set it to true to stop the run; it cannot be taken back."""
    cancel_reason: ShortText | None = None
    """Why it was cancelled: the run says so when it has ended."""
    cancel_grace_seconds: int | None = Field(default=None, ge=0, le=86_400)
    """How long jobs get to end by themselves when the run is cancelled; 30 s, if not given."""
    suspend: bool = False
    """While it is true, no job starts; what runs goes on."""


class OutputStatus(Model):
    """What a job handed on: a dataset version, the copy of a volume, or a string.

    A string of more than 256 bytes stands in object storage only, at `ref`.
    """

    version: ShortText | None = None
    digest: Digest | None = None
    bytes: int | None = Field(default=None, ge=0)
    files: int | None = Field(default=None, ge=0)
    value: Annotated[str, StringConstraints(max_length=1_024)] | None = None
    ref: ShortText | None = None


class JobStatus(Model):
    """One job: at most a few hundred bytes, so that a thousand of them fit into one object."""

    phase: JobPhaseName = "Pending"
    attempt: int = Field(default=0, ge=0)
    user_failures: int = Field(default=0, ge=0)
    infra_failures: int = Field(default=0, ge=0)
    memory_failures: int = Field(default=0, ge=0)
    """Ends for lack of memory that `policy.outOfMemory` answered with more of it."""
    memory: Annotated[str, StringConstraints(max_length=32)] | None = None
    """The memory of the attempt, where it is more than that of its machine type."""
    pod: ShortText | None = None
    pod_uid: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, alias="podUID"
    )
    node: ShortText | None = None
    ready_at: Timestamp | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    retry_at: Timestamp | None = None
    reason: Annotated[str, StringConstraints(max_length=128)] | None = None
    message: Annotated[str, StringConstraints(max_length=1_024)] | None = None
    exit_code: int | None = None
    outputs: Annotated[dict[Name, OutputStatus], Field(max_length=MAX_SLOTS)] | None = None
    key: Annotated[str, StringConstraints(max_length=64)] | None = None
    """What tells the same execution in another run, where `policy.reuse` is on."""
    source: Annotated[str, StringConstraints(max_length=512)] | None = None
    """RUN/JOB that made the outputs, where the job itself did not run."""


class PinnedVersion(Model):
    """The dataset version that an input was pinned to when the run started."""

    dataset: ObjectName
    namespace: ObjectName
    version: ShortText
    digest: Digest
    bytes: int = Field(default=0, ge=0)


class VolumeStatus(Model):
    """How a volume of the run is kept, and why so."""

    mode: Literal["ReadWriteMany", "ReadWriteOnce", "Copy"]
    reason: ShortText
    claim: ObjectName | None = None
    folder: ShortText | None = None
    """Where in the claim it is, if other volumes of the run are in it, too."""


class RunStatus(Model):
    """The whole truth about a run, together with its Pods."""

    observed_generation: int = Field(default=0, ge=0)
    phase: RunPhaseName = "Pending"
    progress: ShortText = ""
    """Finished jobs of all, as 37/100."""
    message: Annotated[str, StringConstraints(max_length=1_024)] = ""
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    conditions: Conditions = []
    jobs: Annotated[
        dict[Name, Annotated[JobStatus, Field(json_schema_extra=ATOMIC)]],
        Field(max_length=MAX_JOBS),
    ] = {}
    suspended_since: Timestamp | None = None
    suspended_seconds: int | None = Field(default=None, ge=0)
    """For how long it was suspended before; the clock of the run leaves them out."""
    inputs: Annotated[dict[ShortText, PinnedVersion], Field(max_length=4_096)] = {}
    volumes: Annotated[dict[ShortText, VolumeStatus], Field(max_length=4_096)] = {}
