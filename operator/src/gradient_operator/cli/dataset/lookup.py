"""Finds datasets and versions in the cluster by the references that people write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradient_operator.api.names import LABEL_DATASET
from gradient_operator.cli.errors import CommandError
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.references import (
    DatasetReference,
    ReferenceProblem,
    is_version_id,
    parse_dataset,
)

if TYPE_CHECKING:
    from gradient_operator.cli.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Found:
    """One version, and the dataset that it belongs to."""

    dataset: dict[str, Any]
    version: str
    digest: str
    bytes: int
    files: int

    @property
    def name(self) -> str:
        """`dataset:version`, as people name it."""
        return f"{shown_name(self.dataset)}:{self.version}"

    @property
    def provider(self) -> str | None:
        """The `GradientStorageProvider` that holds it; None is the operator's default."""
        provider = (self.dataset.get("spec") or {}).get("provider")
        return str(provider) if provider else None


def shown_name(dataset: dict[str, Any]) -> str:
    """The name as people wrote it, or the object's."""
    return str((dataset.get("spec") or {}).get("name") or dataset["metadata"]["name"])


def parse(text: str) -> DatasetReference:
    """Read `[namespace/]name[:version|:tag]`.

    Raises:
        CommandError: it has another form.
    """
    try:
        return parse_dataset(text)
    except ReferenceProblem as problem:
        raise CommandError(f"{problem}.") from None


def within(cluster: Cluster, reference: DatasetReference) -> Cluster:
    """The same cluster, in the namespace that the reference names, if it names one."""
    return replace(cluster, namespace=reference.namespace or cluster.namespace)


async def find_dataset(cluster: Cluster, reference: DatasetReference) -> dict[str, Any]:
    """The `GradientDataset`.

    Raises:
        CommandError: there is none.
    """
    try:
        return await cluster.find(DATASETS, reference.object_name, hint="")
    except CommandError:
        raise CommandError(
            f"There is no dataset {reference.name!r} in namespace {cluster.namespace}. "
            f"List them: gradient dataset list -n {cluster.namespace}"
        ) from None


async def find_version(cluster: Cluster, reference: DatasetReference) -> Found:
    """The version that a reference means now; a tag wins over a version of the same name.

    Raises:
        CommandError: there is no such dataset or version.
    """
    dataset = await find_dataset(cluster, reference)
    if reference.version is None:
        latest = (dataset.get("status") or {}).get("latest")
        if latest is None:
            raise CommandError(
                f"Dataset {reference.name!r} has no version yet. Put data into it: gradient "
                f"dataset put DIRECTORY {reference.name} -n {cluster.namespace}"
            )
        return _found(dataset, latest)
    tags = (dataset.get("spec") or {}).get("tags") or {}
    wanted = tags.get(reference.version, reference.version)
    name = f"{reference.object_name}-{wanted}"
    try:
        if not is_version_id(wanted):
            raise NotFound("neither a tag nor a version")
        version = await cluster.client.get(DATASET_VERSIONS, name=name, namespace=cluster.namespace)
    except NotFound:
        raise CommandError(
            f"Dataset {reference.name!r} has no version or tag {reference.version!r}. List them: "
            f"gradient dataset versions {reference.name} -n {cluster.namespace}"
        ) from None
    return _found(dataset, version["spec"])


async def list_versions(cluster: Cluster, object_name: str) -> list[dict[str, Any]]:
    """The `GradientDatasetVersion`s of a dataset, newest first."""
    from gradient_operator.dataset_versions import created

    listed = await cluster.client.list_all(
        DATASET_VERSIONS,
        namespace=cluster.namespace,
        label_selector=f"{LABEL_DATASET}={label_value(object_name)}",
    )
    versions = [item for item in listed.items if item["spec"]["dataset"] == object_name]
    versions.sort(key=lambda item: created(item["metadata"]), reverse=True)
    return versions


def label_value(name: str) -> str:
    """The value of the label that names a dataset, as the operator writes it."""
    from gradient_operator.pods.names import label_value as value

    return value(name)


def _found(dataset: dict[str, Any], version: dict[str, Any]) -> Found:
    return Found(
        dataset=dataset,
        version=version["version"],
        digest=version["digest"],
        bytes=version["bytes"],
        files=version["files"],
    )
