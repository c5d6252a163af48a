"""Makes uploaded content a version of a dataset, for the operator and for `gradient dataset put`.

The order is dataset, version, `latest`: a crash between leaves a version that the next try makes
the newest one. Names follow from content, so that a repetition meets its own work. Knows the API
server, and nothing of runs or of object storage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.datasets.mirror import DatasetRecord, VersionRecord
from gradient_operator.datasets.provenance import Making
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.pods.names import label_value
from gradient_operator.workflow.references import DatasetReference, version_id

MOST_MAKINGS: Final = 16
"""Later makings of a version that the cluster remembers; the bucket keeps the provenance of all."""
_TRIES: Final = 5
"""Attempts to move `latest` against concurrent writers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was uploaded, and for its version `origin` (which run made it) or a `message`."""

    digest: str
    bytes: int
    files: int
    origin: Mapping[str, Any] | None = None
    message: str | None = None


class CommitRefused(Exception):
    """The version cannot be committed, whatever is tried; the message names the remedy."""


def dataset_record(item: Mapping[str, Any]) -> DatasetRecord:
    """What the bucket is told of a `GradientDataset`, for recovery."""
    metadata, latest = item["metadata"], (item.get("status") or {}).get("latest") or {}
    return DatasetRecord(
        namespace=metadata["namespace"],
        name=metadata["name"],
        spec=item.get("spec") or {},
        latest=latest.get("digest"),
    )


def version_record(item: Mapping[str, Any]) -> VersionRecord:
    """What the bucket is told of a `GradientDatasetVersion`, for recovery."""
    return VersionRecord(
        namespace=item["metadata"]["namespace"],
        spec=item["spec"],
        created=created(item["metadata"]),
    )


def created(metadata: Mapping[str, Any]) -> str:
    """When a version was made: also of one that was lost with its cluster and made again."""
    made = (metadata.get("annotations") or {}).get(names.ANNOTATION_MADE_AT)
    return str(made or metadata.get("creationTimestamp") or "")


def version_makings(item: Mapping[str, Any]) -> list[Making]:
    """What is to be told of how a `GradientDatasetVersion` was made, and made again."""
    metadata = item["metadata"]
    return [
        Making(
            namespace=metadata["namespace"],
            spec=item["spec"],
            origin=origin,
            created=created(metadata),
        )
        for origin in makings(item)
    ]


def object_of(record: DatasetRecord | VersionRecord) -> dict[str, Any]:
    """The cluster object that a record in the bucket describes."""
    metadata: dict[str, Any] = {"namespace": record.namespace}
    if isinstance(record, DatasetRecord):
        kind = "GradientDataset"
        metadata["name"] = record.name
    else:
        kind = "GradientDatasetVersion"
        dataset = record.spec["dataset"]
        metadata["name"] = f"{dataset}-{record.spec['version']}"
        metadata["labels"] = _labels(dataset)
        metadata["annotations"] = {names.ANNOTATION_MADE_AT: record.created}
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": dict(record.spec),
    }


def _labels(dataset: str) -> dict[str, str]:
    return {
        names.LABEL_DATASET: label_value(dataset),
        names.LABEL_MANAGED_BY: names.MANAGER,
    }


async def commit(
    client: KubeClient,
    *,
    namespace: str,
    dataset: DatasetReference,
    content: Content,
    provider: str | None = None,
    must_exist: bool = False,
) -> tuple[str, bool]:
    """Make a version, and the dataset if need be, and move `latest` to it. Safe to repeat.

    A repetition by the run that made the version does not hide a version that came after it; a
    person who puts the same content again means it to be the newest.

    Returns:
        The version's id, and whether it is new.

    Raises:
        CommitRefused: the dataset must exist and does not, or a version of this name differs.
        KubeError: the API server did not take it; try again.
    """
    name = dataset.object_name
    known = await _ensure_dataset(
        client, dataset, namespace=namespace, provider=provider, must_exist=must_exist
    )
    version, is_new = await _ensure_version(client, namespace, dataset=name, content=content)
    repeated = (
        not is_new
        and bool(content.origin)
        and (making(version["spec"].get("origin")) == making(content.origin))
    )
    if not is_new and content.origin and not repeated:
        await _note_making(client, version, content.origin)
    await _move_latest(client, known, version=version, repeated=repeated)
    return version["spec"]["version"], is_new


def making(origin: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What tells one making of a version from another; a person's `put` is all empty."""
    return tuple((origin or {}).get(key) for key in ("runUID", "job", "output"))


def makings(version: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The origins of a `GradientDatasetVersion`: what made it, and what made the same again."""
    status = version.get("status") or {}
    return [version["spec"].get("origin") or {}, *status.get("madeAgain", ())]


async def _note_making(
    client: KubeClient, version: Mapping[str, Any], origin: Mapping[str, Any]
) -> None:
    """Keep that the content was made again: its provenance is written from there."""
    known = makings(version)
    if any(making(each) == making(origin) for each in known):
        return
    metadata = version["metadata"]
    body = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "status": {"madeAgain": [dict(origin), *known[1:]][:MOST_MAKINGS]},
    }
    await client.merge_patch(
        DATASET_VERSIONS,
        body,
        name=metadata["name"],
        namespace=metadata["namespace"],
        subresource="status",
    )


async def _ensure_dataset(
    client: KubeClient,
    dataset: DatasetReference,
    *,
    namespace: str,
    provider: str | None,
    must_exist: bool,
) -> dict[str, Any]:
    name = dataset.object_name
    try:
        return await client.get(DATASETS, name=name, namespace=namespace)
    except NotFound:
        if must_exist:
            raise CommitRefused(
                f"dataset {dataset.name!r} does not exist in namespace {namespace}, and "
                "policy.datasets.mustExist forbids making it"
            ) from None
    spec: dict[str, Any] = {"name": dataset.name}
    if provider is not None:
        spec["provider"] = provider
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "GradientDataset",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    try:
        return await client.create(DATASETS, body, namespace=namespace)
    except AlreadyExists:
        return await client.get(DATASETS, name=name, namespace=namespace)


async def _ensure_version(
    client: KubeClient, namespace: str, *, dataset: str, content: Content
) -> tuple[dict[str, Any], bool]:
    """The version, and whether it is new."""
    version = version_id(content.digest)
    spec: dict[str, Any] = {
        "dataset": dataset,
        "version": version,
        "digest": content.digest,
        "bytes": content.bytes,
        "files": content.files,
    }
    if content.origin is not None:
        spec["origin"] = dict(content.origin)
    if content.message is not None:
        spec["message"] = content.message
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "GradientDatasetVersion",
        "metadata": {
            "name": f"{dataset}-{version}",
            "namespace": namespace,
            "labels": _labels(dataset),
        },
        "spec": spec,
    }
    try:
        return await client.create(DATASET_VERSIONS, body, namespace=namespace), True
    except AlreadyExists:
        found = await client.get(DATASET_VERSIONS, name=f"{dataset}-{version}", namespace=namespace)
    if found["spec"]["digest"] != content.digest:
        raise CommitRefused(
            f"version {version} of dataset {dataset!r} exists with other content (digest "
            f"{found['spec']['digest']}): 60 bits of two digests are equal, change any byte"
        )
    return found, False


def _summary(spec: Mapping[str, Any], made: str) -> dict[str, Any]:
    """A version as `status.latest` of its dataset has it."""
    return {key: spec[key] for key in ("version", "digest", "bytes", "files")} | {"createdAt": made}


async def _move_latest(
    client: KubeClient,
    dataset: Mapping[str, Any],
    *,
    version: Mapping[str, Any],
    repeated: bool,
) -> None:
    """Begin with the dataset as it was read before; the operator counts its versions elsewhere."""
    newest = _summary(version["spec"], created(version["metadata"]))
    name, namespace = dataset["metadata"]["name"], dataset["metadata"]["namespace"]
    for _ in range(_TRIES):
        latest = (dataset.get("status") or {}).get("latest") or {}
        if repeated and latest.get("createdAt", "") > newest["createdAt"]:
            return  # another version came after ours: a repetition must not hide it
        if latest.get("version") == newest["version"]:
            return
        body = {
            "metadata": {"resourceVersion": dataset["metadata"]["resourceVersion"]},
            "status": {"latest": newest},
        }
        try:
            await client.merge_patch(
                DATASETS, body, name=name, namespace=namespace, subresource="status"
            )
            return
        except Conflict:
            dataset = await client.get(DATASETS, name=name, namespace=namespace)
    raise Conflict(f"dataset {name} keeps changing: its newest version will be set later")


async def set_latest(client: KubeClient, dataset: str, version: VersionRecord) -> None:
    """Make a version the newest one of its dataset, whatever was the newest.

    Raises:
        KubeError: the API server did not take it.
    """
    await client.merge_patch(
        DATASETS,
        {"status": {"latest": _summary(version.spec, version.created)}},
        name=dataset,
        namespace=version.namespace,
        subresource="status",
    )
