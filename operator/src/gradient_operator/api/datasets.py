"""`GradientDataset`, `GradientDatasetVersion` and `GradientStorageProvider`."""

from typing import Annotated

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


class StorageProviderSpec(Model):
    """An S3 bucket and the Secret (keys `accessKeyId`, `secretAccessKey`) that opens it."""

    endpoint: Annotated[str, StringConstraints(max_length=512, pattern=r"^https?://.+")]
    """The URL of the S3 service, as jobs' Pods reach it."""
    region: Annotated[str, StringConstraints(max_length=63)] = "us-east-1"
    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    prefix: Annotated[str, StringConstraints(max_length=512)] = ""
    """What all keys in the bucket begin with."""
    path_style: bool = True
    """Whether the bucket stands in the URL's path, instead of its host name."""
    credentials_secret: ObjectName
    """A Secret of this namespace with the keys `accessKeyId` and `secretAccessKey`."""


class StorageProviderStatus(Model):
    """Whether the endpoint answers."""

    observed_generation: int = Field(default=0, ge=0)
    conditions: Conditions = []


class DatasetSpec(Model):
    """A named dataset, its tags, and who may read it."""

    name: ShortText = ""
    """As people write it, where that is no valid object name."""
    provider: ObjectName | None = None
    """The GradientStorageProvider that holds it, instead of the operator's default."""
    description: ShortText = ""
    readable_from: Annotated[list[ObjectName], Field(max_length=64)] = []
    """The other namespaces whose runs may read it."""
    tags: Annotated[dict[Tag, VersionId], Field(max_length=256)] = {}
    """Names for versions, as `production: k5tq3nfdxw2a`."""


class VersionSummary(Model):
    """A version as its dataset lists it."""

    version: VersionId
    digest: Digest
    bytes: int = Field(ge=0)
    files: int = Field(ge=0)
    created_at: Timestamp


class DatasetStatus(Model):
    """The newest version and the number of all."""

    observed_generation: int = Field(default=0, ge=0)
    conditions: Conditions = []
    latest: VersionSummary | None = None
    versions: int = Field(default=0, ge=0)
    """How many versions there are."""


class Origin(Model):
    """What made a version: a job of a run, or a person's `put`."""

    run: ObjectName | None = None
    run_uid: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, alias="runUID"
    )
    job: ShortText | None = None
    output: ShortText | None = None
    inputs: Annotated[list[ShortText], Field(max_length=64)] = []
    """The dataset versions that the job read, as `namespace/dataset:version`."""


class DatasetVersionSpec(Model):
    """One immutable version: the digest of its manifest, its size, and where it came from."""

    dataset: ObjectName
    version: VersionId
    digest: Digest
    bytes: int = Field(ge=0)
    files: int = Field(ge=0)
    origin: Origin = Origin()
    message: ShortText = ""


class ModelSpec(Model):
    """A registered model: a name and type for a dataset version."""

    name: ShortText
    type: ShortText
    dataset: ObjectName
    version: VersionId
    digest: Digest
    origin: Origin = Origin()
