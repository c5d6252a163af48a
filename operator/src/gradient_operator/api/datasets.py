"""`GradientDataset`, `GradientDatasetVersion` and `GradientStorageProvider`."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from gradient_operator.api.base import (
    Conditions,
    Digest,
    Model,
    ObjectName,
    ShortText,
    Timestamp,
)

Tag = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]*$")
]
VersionId = Annotated[
    str, StringConstraints(min_length=12, max_length=12, pattern=r"^[a-z2-7]{12}$")
]
"""The first 60 bits of the manifest's digest in base32, lower case."""


MAX_READ: Final = 1_024
"""Versions that the lineage of one names."""
Duration = Annotated[str, StringConstraints(max_length=12, pattern=r"^[0-9]+[smhd]$")]
"""A number of seconds, minutes, hours or days, as `36h`, `30d`."""


class WebIdentity(Model):
    """Whom helpers say they are: a token service trades their service account's token for keys."""

    role_arn: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """The role that trusts the cluster's issuer, as `arn:aws:iam::123456789012:role/datasets`."""
    audience: Annotated[str, StringConstraints(min_length=1, max_length=512)] = "sts.amazonaws.com"
    """Whom the token is for, as the role's trust policy demands it."""
    endpoint: Annotated[str, StringConstraints(max_length=512, pattern=r"^https?://.+")] | None = (
        None
    )
    """The URL of the token service, if it is not Amazon's in the bucket's region."""
    service_account: ObjectName | None = None
    """The service account of jobs' Pods, instead of `default`. They get no token of it; only our
    own containers do, and only for this audience."""


class StorageProviderSpec(Model):
    """An S3 bucket, and what opens it: a Secret with keys, or a web identity."""

    endpoint: Annotated[str, StringConstraints(max_length=512, pattern=r"^https?://.+")]
    """The URL of the S3 service, as jobs' Pods reach it."""
    region: Annotated[str, StringConstraints(max_length=63)] = "us-east-1"
    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    prefix: Annotated[str, StringConstraints(max_length=512)] = ""
    """What all keys in the bucket begin with."""
    path_style: bool = True
    """Whether the bucket stands in the URL's path, instead of its host name."""
    credentials_secret: ObjectName | None = None
    """A Secret of this namespace with the keys `accessKeyId` and `secretAccessKey`."""
    web_identity: WebIdentity | None = None
    """Instead of the Secret."""


class ObjectSum(Model):
    """A number of objects in a bucket, and their bytes."""

    objects: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)


class Collection(Model):
    """What the last garbage collection of a bucket found and did."""

    finished_at: Timestamp
    versions: int = Field(default=0, ge=0)
    reachable: ObjectSum = ObjectSum()
    young: ObjectSum = ObjectSum()
    """Not needed yet, and too young to be marked."""
    marked: ObjectSum = ObjectSum()
    """Not needed, and waiting for the end of their grace."""
    deleted: ObjectSum = ObjectSum()


class StorageProviderStatus(Model):
    """What is known of the bucket."""

    observed_generation: int = Field(default=0, ge=0)
    conditions: Conditions = []
    collection: Collection | None = None


class Retention(Model):
    """Which versions are kept; whatever one of the rules keeps is kept.

    The newest version, and what a run under way or a registered model needs, is kept always.
    """

    keep_last: int | None = Field(default=None, ge=1, le=100_000)
    """So many of the newest versions."""
    keep_tagged: bool = True
    """Versions that have a tag."""
    keep_used_within: Duration | None = None
    """Versions that were made, or read by a run that was started, within this time, as `30d`."""
    grace: Duration = "24h"
    """How long a version is only marked before it is deleted."""


class DatasetSpec(Model):
    """A named dataset, its tags, who may read it, and how long its versions are kept."""

    name: ShortText = ""
    """As people write it, where that is no valid object name."""
    provider: ObjectName | None = None
    """The GradientStorageProvider that holds it, instead of the operator's default."""
    description: ShortText = ""
    readable_from: Annotated[list[ObjectName], Field(max_length=64)] = []
    """The other namespaces whose runs may read it."""
    tags: Annotated[dict[Tag, VersionId], Field(max_length=256)] = {}
    """Names for versions, as `production: k5tq3nfdxw2a`."""
    retention: Retention | None = None
    """Which versions are kept; without it all are, for ever."""


class VersionSummary(Model):
    """A version as its dataset lists it."""

    version: VersionId
    digest: Digest
    bytes: int = Field(ge=0)
    files: int = Field(ge=0)
    created_at: Timestamp


class Expiring(Model):
    """The versions that retention has marked."""

    versions: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    """Sum of their files' lengths; what is freed is less where versions share files."""
    next_at: Timestamp | None = None
    """When the first of them will be deleted."""


class DatasetStatus(Model):
    """The newest version and the sums over all."""

    observed_generation: int = Field(default=0, ge=0)
    conditions: Conditions = []
    latest: VersionSummary | None = None
    versions: int = Field(default=0, ge=0)
    """How many versions there are."""
    bytes: int = Field(default=0, ge=0)
    """Sum over all versions; they take less room where they share files."""
    size: ShortText = ""
    """The size of the newest version, for people."""
    tags: ShortText = ""
    """The tags that name a version that exists, for people."""
    expiring: Expiring | None = None


class Origin(Model):
    """What made a version: a job of a run, or a person's `put`."""

    run: ObjectName | None = None
    run_uid: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, alias="runUID"
    )
    job: ShortText | None = None
    output: ShortText | None = None
    inputs: Annotated[list[ShortText], Field(max_length=MAX_READ)] = []
    """The dataset versions that the job read, as `namespace/dataset:version`."""
    input_digests: Annotated[dict[ShortText, Digest], Field(max_length=MAX_READ)] | None = None
    """The digests of these versions' manifests."""
    inputs_left_out: int | None = Field(default=None, ge=0)
    """How many more it read: jobs that gather from matrices may read thousands."""
    workflow: ShortText | None = None
    attempt: int | None = Field(default=None, ge=0)
    spec_digest: Digest | None = None
    """Of the run's spec without `cancel` and `cancelReason`; docs/data.md says how."""
    repository: ShortText | None = None
    """The git repository that the workflow came from."""
    revision: ShortText | None = None
    """The commit there, or what names one."""
    images: Annotated[dict[ObjectName, ShortText], Field(max_length=8)] | None = None
    """The image that each container of the Pod ran, as the kubelet resolved it to a digest."""
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class DatasetVersionSpec(Model):
    """One immutable version: the digest of its manifest, its size, and where it came from."""

    dataset: ObjectName
    version: VersionId
    digest: Digest
    bytes: int = Field(ge=0)
    files: int = Field(ge=0)
    origin: Origin = Origin()
    message: ShortText = ""


class DatasetVersionStatus(Model):
    """What changes about a version: its tags, who read it, and until when it is kept."""

    size: ShortText = ""
    """As `1.5 GiB`."""
    tags: ShortText = ""
    """The names that it has in `spec.tags` of its dataset."""
    made_by: ShortText = ""
    """`run/job`, or `put`."""
    made_again: Annotated[list[Origin], Field(max_length=16)] = []
    """The last jobs that made the same content after the first, newest first."""
    used_by: Annotated[list[ShortText], Field(max_length=16)] = []
    """The last runs that took it as an input, newest first, as `namespace/run`."""
    last_used_at: Timestamp | None = None
    """When the newest of them was made."""
    expires_at: Timestamp | None = None
    """When retention will delete it, unless something keeps it until then."""


class ModelSpec(Model):
    """A registered model: a name and type for a dataset version."""

    name: ShortText
    """As people call it; each registration under one name is a version of the model."""
    type: ShortText
    """What kind of model it is, as `Tensorflow` or `Custom`."""
    dataset: ObjectName
    dataset_namespace: ObjectName | None = None
    """Where the dataset is, if not in this namespace."""
    version: VersionId
    digest: Digest
    origin: Origin = Origin()
