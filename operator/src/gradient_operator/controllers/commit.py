"""Makes what a job produced visible: dataset versions and models. Every step can be repeated.

The order is version, then `latest`: a crash between them leaves a version that the next look makes
the newest one. Names follow from content, so that a repetition meets its own work.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradient_operator.api import names
from gradient_operator.controllers.pinning import Pinned, StartRefused
from gradient_operator.engine.model import JobRecord, OutputRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, MODELS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.pods.names import label_value, short_hash
from gradient_operator.workflow.model import CompiledJob, DatasetInput, OutputInput
from gradient_operator.workflow.references import DatasetReference, object_name, version_id

_TRIES = 5
"""Attempts to move `latest` against concurrent writers."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from, for its lineage."""

    namespace: str
    run: str
    run_uid: str
    job: str
    inputs: tuple[str, ...] = ()

    def origin(self, output: str) -> dict[str, Any]:
        """As `spec.origin` holds it."""
        return {
            "run": self.run,
            "runUID": self.run_uid,
            "job": self.job,
            "output": output,
            "inputs": list(self.inputs),
        }


class CommitRefused(Exception):
    """The version cannot be committed, whatever is tried; the message names the remedy."""


async def commit_version(
    client: KubeClient,
    *,
    source: Source,
    output: str,
    dataset: DatasetReference,
    record: OutputRecord,
    provider: str | None,
    must_exist: bool,
    metrics: Metrics,
) -> None:
    """Make one dataset version, and the dataset if need be, and move `latest` to it.

    Raises:
        CommitRefused: the dataset must exist and does not, or a version of this name differs.
        KubeError: the API server did not take it; try again.
    """
    started = time.monotonic()
    name, namespace = dataset.object_name, source.namespace
    await _ensure_dataset(
        client, dataset, namespace=namespace, provider=provider, must_exist=must_exist
    )
    version, repeated = await _create_version(
        client, source, output=output, dataset=name, record=record
    )
    await _move_latest(client, name, namespace=namespace, version=version, repeated=repeated)
    metrics.dataset_commit_seconds.observe(time.monotonic() - started)
    metrics.dataset_commit_bytes.observe(record.bytes)
    metrics.dataset_commit_files.observe(record.files)


async def _ensure_dataset(
    client: KubeClient,
    dataset: DatasetReference,
    *,
    namespace: str,
    provider: str | None,
    must_exist: bool,
) -> None:
    name = dataset.object_name
    try:
        await client.get(DATASETS, name=name, namespace=namespace)
        return
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
        await client.create(DATASETS, body)
    except AlreadyExists:
        return


async def _create_version(
    client: KubeClient, source: Source, *, output: str, dataset: str, record: OutputRecord
) -> tuple[dict[str, Any], bool]:
    """The version, and whether this very job had made it before (and then crashed)."""
    digest = record.digest or ""
    version = version_id(digest)
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "GradientDatasetVersion",
        "metadata": {
            "name": f"{dataset}-{version}",
            "namespace": source.namespace,
            "labels": {
                names.LABEL_DATASET: label_value(dataset),
                names.LABEL_MANAGED_BY: names.MANAGER,
            },
        },
        "spec": {
            "dataset": dataset,
            "version": version,
            "digest": digest,
            "bytes": record.bytes,
            "files": record.files,
            "origin": source.origin(output),
        },
    }
    try:
        return await client.create(DATASET_VERSIONS, body), False
    except AlreadyExists:
        found = await client.get(
            DATASET_VERSIONS, name=f"{dataset}-{version}", namespace=source.namespace
        )
    if found["spec"]["digest"] != digest:
        raise CommitRefused(
            f"version {version} of dataset {dataset!r} exists with other content (digest "
            f"{found['spec']['digest']}): 60 bits of two digests are equal, change any byte"
        )
    return found, found["spec"].get("origin") == source.origin(output)


async def _move_latest(
    client: KubeClient,
    dataset: str,
    *,
    namespace: str,
    version: Mapping[str, Any],
    repeated: bool,
) -> None:
    spec, created = version["spec"], version["metadata"]["creationTimestamp"]
    for _ in range(_TRIES):
        current = await client.get(DATASETS, name=dataset, namespace=namespace)
        status = current.get("status", {})
        latest = status.get("latest") or {}
        if latest.get("version") == spec["version"]:
            return
        if repeated and latest.get("createdAt", "") > created:
            return  # another version came after ours: a repetition must not hide it
        listed = await client.list_all(
            DATASET_VERSIONS,
            namespace=namespace,
            label_selector=f"{names.LABEL_DATASET}={label_value(dataset)}",
        )
        body = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
            "status": {
                "latest": {
                    "version": spec["version"],
                    "digest": spec["digest"],
                    "bytes": spec["bytes"],
                    "files": spec["files"],
                    "createdAt": created,
                },
                "versions": len(listed.items),
            },
        }
        try:
            await client.merge_patch(
                DATASETS, body, name=dataset, namespace=namespace, subresource="status"
            )
            return
        except Conflict:
            continue
    raise Conflict(f"dataset {dataset} keeps changing: its newest version will be set later")


def input_versions(job: CompiledJob, pinned: Mapping[str, Pinned]) -> tuple[str, ...]:
    """The versions that a job read, for the lineage."""
    found = []
    for item in job.inputs:
        if isinstance(item, DatasetInput):
            version = pinned[str(item.reference)]
            found.append(f"{version.namespace}/{version.dataset}:{version.version}")
    return tuple(found)


def model_version(
    job: CompiledJob, *, ledger: Mapping[str, JobRecord], pinned: Mapping[str, Pinned]
) -> tuple[str, str, str]:
    """Dataset, version and digest that a `create-model@v1` job registers.

    Raises:
        StartRefused: the input called `model` was not recorded.
    """
    item = next(item for item in job.inputs if item.name == "model")
    if isinstance(item, DatasetInput):
        version = pinned[str(item.reference)]
        return version.dataset, version.version, version.digest
    output = ledger[item.job].outputs.get(item.output) if isinstance(item, OutputInput) else None
    if output is None or output.version is None or output.digest is None:
        raise StartRefused("ModelMissing", "the input called model holds no dataset version")
    dataset, _, version_text = output.version.partition(":")
    return dataset, version_text, output.digest


async def register_model(
    client: KubeClient,
    job: CompiledJob,
    *,
    source: Source,
    version: tuple[str, str, str],
) -> str:
    """Register a model and return its id, the name of the `GradientModel`.

    Raises:
        KubeError: the API server did not take it; try again.
    """
    if job.model is None:
        raise ValueError(f"job {job.name} registers no model")
    suffix = short_hash(source.run_uid, job.name)
    name = f"{object_name(job.model.name, limit=50)}-{suffix}"
    dataset, version_text, digest = version
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "GradientModel",
        "metadata": {"name": name, "namespace": source.namespace},
        "spec": {
            "name": job.model.name,
            "type": job.model.type,
            "dataset": dataset,
            "version": version_text,
            "digest": digest,
            "origin": source.origin("model-id"),
        },
    }
    try:
        await client.create(MODELS, body)
    except AlreadyExists:
        return name
    return name
