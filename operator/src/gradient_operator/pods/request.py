"""What the pod builder is given: a job with everything about it decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradient_operator.api.datasets import WebIdentity
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import VolumeRecord
from gradient_operator.workflow.model import CompiledJob


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Whose Pod it is."""

    name: str
    uid: str
    namespace: str
    workflow: str
    git_sha: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """The bucket that the helpers use, and what opens it."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    path_style: bool
    secret: str | None = None
    """A Secret of this namespace."""
    identity: WebIdentity | None = None
    """Whom the helpers say they are, instead."""


@dataclass(frozen=True, slots=True)
class BlobCache:
    """A folder of the nodes for what is fetched, and how much one namespace may keep in bytes."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the installation decides about every Pod."""

    helper_image: str
    finalizer: bool = True
    storage_claim: str | None = None
    """The claim to mount at /storage; None where the namespace has none."""
    default_image: str = "bash:5"
    """Of scripts that name none."""
    priority_class: str | None = None
    blob_cache: BlobCache | None = None


@dataclass(frozen=True, slots=True)
class FetchedInput:
    """A version to bring in: of a dataset (read-only), or the copy of a volume (writable)."""

    name: str
    digest: str
    bytes: int = 0
    writable: bool = False


@dataclass(frozen=True, slots=True)
class StringValue:
    """A string that travels in an annotation."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class StoredString:
    """A long string that stands in the result of another job's uploader."""

    name: str
    ref: str
    output: str


@dataclass(frozen=True, slots=True)
class ClaimedInput:
    """A volume that is mounted from its claim."""

    name: str
    claim: str
    read_only: bool = False
    folder: str | None = None
    """The volume's place in a claim that several share; None is all of it."""


ResolvedInput = FetchedInput | StringValue | StoredString | ClaimedInput


@dataclass(frozen=True, slots=True)
class PodRequest:
    """One attempt of one job."""

    run: RunIdentity
    job: CompiledJob
    attempt: int
    machine: InstanceTypeSpec
    """Placed where all jobs can run that share a claim of one node with this one."""
    policy: Policy
    settings: Settings
    inputs: tuple[ResolvedInput, ...] = ()
    volumes: Mapping[str, VolumeRecord] = field(default_factory=dict)
    """Of the job's volume outputs, by output name."""
    storage: Storage | None = None
    bases: tuple[str, ...] = ()
    """Digests of versions whose small files need not be sent again."""
    held_claims: tuple[str, ...] = ()
    """Claims of the job that only one node can mount."""
