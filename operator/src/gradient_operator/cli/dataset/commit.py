"""Makes an uploaded version visible in the cluster: dataset, version, `latest`. Safe to repeat.

The order is that of the operator: a crash in between leaves a version that is not yet the newest,
and the same `put` again makes it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import API_VERSION, LABEL_DATASET
from gradient_operator.cli.dataset.catalog import label_value, list_versions
from gradient_operator.cli.errors import CommandError
from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.references import version_id

if TYPE_CHECKING:
    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.datasets.manifest import Version
    from gradient_operator.workflow.references import DatasetReference

_TRIES: Final = 5
"""Attempts to move `latest` against concurrent writers."""


async def commit(
    cluster: Cluster, reference: DatasetReference, made: Version, *, message: str
) -> tuple[str, bool]:
    """Make the version of a dataset; return its id and whether it is new.

    Raises:
        CommandError: another content has the same version id.
        KubeError: the cluster did not take it; the same again goes on where it ended.
    """
    await _ensure_dataset(cluster, reference)
    version, is_new = await _create(cluster, reference, made, message)
    await _move_latest(cluster, reference.object_name, version)
    return version["spec"]["version"], is_new


async def _ensure_dataset(cluster: Cluster, reference: DatasetReference) -> None:
    name = reference.object_name
    try:
        await cluster.client.get(DATASETS, name=name, namespace=cluster.namespace)
    except NotFound:
        body = {
            "apiVersion": API_VERSION,
            "kind": "GradientDataset",
            "metadata": {"name": name, "namespace": cluster.namespace},
            "spec": {"name": reference.name},
        }
        try:
            await cluster.client.create(DATASETS, body, namespace=cluster.namespace)
        except AlreadyExists:
            return


async def _create(
    cluster: Cluster, reference: DatasetReference, made: Version, message: str
) -> tuple[dict[str, Any], bool]:
    dataset, version = reference.object_name, version_id(made.digest)
    name = f"{dataset}-{version}"
    body = {
        "apiVersion": API_VERSION,
        "kind": "GradientDatasetVersion",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": {LABEL_DATASET: label_value(dataset)},
        },
        "spec": {
            "dataset": dataset,
            "version": version,
            "digest": made.digest,
            "bytes": made.bytes,
            "files": made.files,
            "message": message,
        },
    }
    try:
        created = await cluster.client.create(DATASET_VERSIONS, body, namespace=cluster.namespace)
        return created, True
    except AlreadyExists:
        found = await cluster.client.get(DATASET_VERSIONS, name=name, namespace=cluster.namespace)
    if found["spec"]["digest"] != made.digest:
        raise CommandError(
            f"Version {version} of dataset {reference.name!r} exists with other content: 60 bits "
            "of two digests are equal. Change any byte and put it again."
        )
    return found, False


async def _move_latest(cluster: Cluster, dataset: str, version: dict[str, Any]) -> None:
    spec, client = version["spec"], cluster.client
    for _ in range(_TRIES):
        current = await client.get(DATASETS, name=dataset, namespace=cluster.namespace)
        status = current.get("status") or {}
        count = len(await list_versions(cluster, dataset))
        is_latest = (status.get("latest") or {}).get("version") == spec["version"]
        if is_latest and status.get("versions") == count:
            return
        latest = {key: spec[key] for key in ("version", "digest", "bytes", "files")}
        latest["createdAt"] = version["metadata"]["creationTimestamp"]
        body = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
            "status": {"latest": latest, "versions": count},
        }
        try:
            await client.merge_patch(
                DATASETS, body, name=dataset, namespace=cluster.namespace, subresource="status"
            )
            return
        except Conflict:
            continue
    raise CommandError(
        f"Dataset {dataset} keeps changing, so its newest version could not be set: put it again."
    )
