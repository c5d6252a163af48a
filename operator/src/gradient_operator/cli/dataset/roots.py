"""What the cluster still needs of a bucket: everything that versions, runs, models and Pods name.

All namespaces are asked, whatever the bucket: it may be shared, and too much kept costs only room.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import LABEL_MANAGED_BY, LABEL_RUN_UID, MANAGER
from gradient_operator.cli.errors import CommandError
from gradient_operator.dataset_versions import dataset_record, version_record
from gradient_operator.datasets.layout import is_digest, parse_run_reference
from gradient_operator.datasets.marking import Roots
from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import (
    DATASET_VERSIONS,
    DATASETS,
    MODELS,
    NAMESPACES,
    PODS,
    RUNS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.datasets.mirror import Record
    from gradient_operator.kube.resources import Resource

_CLUSTER: Final = "kube-system"
"""The namespace whose UID stands for the cluster, as many programs have it."""
_PODS: Final = f"{LABEL_MANAGED_BY}={MANAGER},{LABEL_RUN_UID}"


async def cluster_id(cluster: Cluster) -> str:
    """What tells this cluster from every other one."""
    found = await cluster.client.get(NAMESPACES, name=_CLUSTER)
    return str(found["metadata"]["uid"])


async def find_roots(cluster: Cluster) -> Roots:
    """Everything that must stay.

    Raises:
        CommandError: the person may not look into all namespaces.
    """
    try:
        # In the order in which results travel: what has moved on meanwhile is seen further on.
        needed = [
            await _names(cluster, PODS, label_selector=_PODS),
            await _names(cluster, RUNS),
            await _names(cluster, MODELS),
            await _names(cluster, DATASET_VERSIONS),
        ]
        records = await find_records(cluster)
    except Forbidden as error:
        raise CommandError(
            f"What a bucket still holds is needed by any namespace, and you may not look into all "
            f"of them ({error.message}). Let the collector do it: see docs/storage.md."
        ) from None
    digests = {digest for found, _ in needed for digest in found}
    results = {uid for _, found in needed for uid in found}
    keys = frozenset(record.key for record in records)
    return Roots(frozenset(digests), frozenset(results), keys)


async def find_records(cluster: Cluster) -> list[Record]:
    """A record for every dataset and version of the cluster."""
    datasets = await cluster.client.list_all(DATASETS)
    versions = await cluster.client.list_all(DATASET_VERSIONS)
    return [
        *(dataset_record(item) for item in datasets.items),
        *(version_record(item) for item in versions.items),
    ]


async def _names(
    cluster: Cluster, resource: Resource, *, label_selector: str | None = None
) -> tuple[set[str], set[str]]:
    """The digests, and the Pods whose results may be read, that objects of a kind name."""
    listed = await cluster.client.list_all(resource, label_selector=label_selector)
    digests: set[str] = set()
    results: set[str] = set()
    for item in listed.items:
        if resource is PODS:
            results.add(item["metadata"]["uid"])
        for key, value in _fields(item):
            if key == "digest" and is_digest(value):
                digests.add(value)
            elif key == "ref":
                results |= _result(value)
    return digests, results


def _fields(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts of an object with the names of their fields; a message may be JSON itself."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _fields(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _fields(part, key)
    elif isinstance(value, str):
        yield key, value
        if key == "message" and value.startswith("{"):
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _fields(inner, "")


def _result(reference: str) -> set[str]:
    try:
        return {parse_run_reference(reference)}
    except ValueError:
        return set()
