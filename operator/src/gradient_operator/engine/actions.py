"""What the planner answers: the new ledger, and what is to be done. All of it can be done again."""

from collections.abc import Mapping
from dataclasses import dataclass

from gradient_operator.engine.model import Failure, JobRecord, OutputRecord, RunPhase


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Create the Pod of an attempt, unless it exists already."""

    job: str
    attempt: int


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete exactly this Pod; `grace_seconds` bounds how long its main may take to stop."""

    name: str
    uid: str
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class AbortUpload:
    """Tell the uploader of this Pod to stop."""

    job: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class CommitOutputs:
    """Make the dataset versions of a finished attempt visible."""

    job: str
    pod_uid: str
    outputs: Mapping[str, OutputRecord]


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Read the whole result of a Pod's uploader from object storage."""

    job: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """Register the model of a `create-model@v1` job."""

    job: str


@dataclass(frozen=True, slots=True)
class FindResult:
    """Look whether an earlier run has done the same, by the key of the execution."""

    job: str
    key: str


Action = (
    CreatePod | DeletePod | AbortUpload | CommitOutputs | ReadResult | RegisterModel | FindResult
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step: the new ledger, what to do, and when to look again without being asked."""

    ledger: Mapping[str, JobRecord]
    actions: tuple[Action, ...]
    phase: RunPhase
    message: str
    failures: tuple[tuple[str, Failure], ...] = ()
    """Attempts that this plan saw fail, for events and metrics."""
    wake_at: float | None = None
    wants: tuple[tuple[str, str], ...] = ()
    """Ready jobs that lack a place outside the run, with their machine types."""
