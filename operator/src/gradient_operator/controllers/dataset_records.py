"""Projections of datasets and versions, and which version belongs to which dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradient_operator.api.times import parse_time
from gradient_operator.dataset_versions import created


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset as it is cached."""

    uid: str
    namespace: str
    name: str
    resource_version: str = field(compare=False)
    generation: int
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    created_at: float | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """Version ids by tag."""
        return self.spec.get("tags") or {}

    @property
    def shown_name(self) -> str:
        """As people write it."""
        return str(self.spec.get("name") or self.name)


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version as it is cached: without its inputs and message."""

    uid: str
    namespace: str
    name: str
    resource_version: str = field(compare=False)
    dataset: str
    version: str
    digest: str
    bytes: int
    files: int
    created: str
    made_by: str
    status: Mapping[str, Any]

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        return parse_time(self.created) or 0.0

    def summary(self) -> dict[str, Any]:
        """As `status.latest` of the dataset has it."""
        return {
            "version": self.version,
            "digest": self.digest,
            "bytes": self.bytes,
            "files": self.files,
            "createdAt": self.created,
        }


def project_dataset(item: Mapping[str, Any]) -> DatasetView:
    """Reduce a `GradientDataset`."""
    metadata = item["metadata"]
    return DatasetView(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        spec=item.get("spec") or {},
        status=item.get("status") or {},
        created_at=parse_time(metadata.get("creationTimestamp")),
    )


def project_version(item: Mapping[str, Any]) -> VersionView:
    """Reduce a `GradientDatasetVersion`."""
    metadata, spec = item["metadata"], item["spec"]
    origin = spec.get("origin") or {}
    made_by = f"{origin['run']}/{origin.get('job') or ''}" if origin.get("run") else "put"
    return VersionView(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        dataset=spec["dataset"],
        version=spec["version"],
        digest=spec["digest"],
        bytes=spec["bytes"],
        files=spec["files"],
        created=created(metadata),
        made_by=made_by,
        status=item.get("status") or {},
    )


@dataclass(slots=True)
class VersionIndex:
    """The cached versions by the dataset that they belong to (namespace and name)."""

    by_dataset: dict[tuple[str, str], dict[str, VersionView]] = field(default_factory=dict)

    def update(self, old: VersionView | None, new: VersionView | None) -> tuple[str, str]:
        """Take a change from the reflector over; answers whose dataset it concerns."""
        view = new or old
        if view is None:
            raise ValueError("a change needs a record before or after it")
        key = (view.namespace, view.dataset)
        versions = self.by_dataset.setdefault(key, {})
        if new is not None:
            versions[new.version] = new
        else:
            versions.pop(view.version, None)
            if not versions:
                del self.by_dataset[key]
        return key

    def of(self, namespace: str, dataset: str) -> Mapping[str, VersionView]:
        """The versions of a dataset by their ids."""
        return self.by_dataset.get((namespace, dataset), {})
