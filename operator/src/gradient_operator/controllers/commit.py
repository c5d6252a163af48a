"""Makes what a job produced visible: dataset versions and models. Every step can be repeated."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gradient_operator import dataset_versions
from gradient_operator.api import names
from gradient_operator.api.datasets import MAX_READ
from gradient_operator.api.times import format_time
from gradient_operator.controllers.pinning import Pinned, StartRefused
from gradient_operator.engine.model import JobRecord, OutputRecord, PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import AlreadyExists
from gradient_operator.kube.resources import MODELS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.pods.names import short_hash
from gradient_operator.workflow.model import CompiledJob, DatasetInput, OutputInput
from gradient_operator.workflow.references import DatasetReference, object_name

_LONGEST: Final = 1_024
"""Characters of a `ShortText`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from, for its lineage and its provenance; empty is not known."""

    namespace: str
    run: str
    run_uid: str
    job: str
    inputs: tuple[str, ...] = ()
    input_digests: Mapping[str, str] = field(default_factory=dict)
    workflow: str = ""
    attempt: int = 0
    spec_digest: str = ""
    repository: str = ""
    revision: str = ""
    pod: PodRecord | None = None

    def origin(self, output: str) -> dict[str, Any]:
        """As `spec.origin` holds it."""
        read = self.inputs[:MAX_READ]
        known = {
            "inputDigests": {name: d for name in read if (d := self.input_digests.get(name))},
            "inputsLeftOut": len(self.inputs) - len(read),
            "workflow": self.workflow,
            "attempt": self.attempt,
            "specDigest": self.spec_digest,
            # Whoever writes a file may write anything there: what is no address is left out.
            "repository": self.repository if len(self.repository) <= _LONGEST else "",
            "revision": self.revision if len(self.revision) <= _LONGEST else "",
            **(_of_pod(self.pod) if self.pod is not None else {}),
        }
        return {
            "run": self.run,
            "runUID": self.run_uid,
            "job": self.job,
            "output": output,
            "inputs": list(read),
            **{name: value for name, value in known.items() if value},
        }


def _of_pod(pod: PodRecord) -> dict[str, Any]:
    """Which images ran, and when the job's work began and was stored."""
    containers = {
        names.CONTAINER_MAIN: pod.main,
        names.CONTAINER_FETCH: pod.fetch,
        names.CONTAINER_UPLOADER: pod.uploader,
    }
    present = {name: record for name, record in containers.items() if record is not None}
    ends = [record.finished_at for record in present.values() if record.finished_at is not None]
    began = pod.main.started_at if pod.main is not None else None
    return {
        "images": {name: record.image_id for name, record in present.items() if record.image_id},
        "startedAt": format_time(began) if began is not None else "",
        "finishedAt": format_time(max(ends)) if ends else "",
    }


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
    await dataset_versions.commit(
        client,
        namespace=source.namespace,
        dataset=dataset,
        content=dataset_versions.Content(
            digest=record.digest or "",
            bytes=record.bytes,
            files=record.files,
            origin=source.origin(output),
        ),
        provider=provider,
        must_exist=must_exist,
    )
    metrics.dataset_commit_seconds.observe(time.monotonic() - started)
    metrics.dataset_commit_bytes.observe(record.bytes)
    metrics.dataset_commit_files.observe(record.files)


def input_versions(
    job: CompiledJob,
    *,
    namespace: str,
    pinned: Mapping[str, Pinned],
    ledger: Mapping[str, JobRecord],
) -> dict[str, str]:
    """The versions that a job read, and their digests: pinned ones, and those of earlier jobs."""
    found = {}
    for item in job.inputs:
        if isinstance(item, DatasetInput):
            version = pinned.get(str(item.reference))
            if version is not None:  # an optional input may have been missing
                name = f"{version.namespace}/{version.dataset}:{version.version}"
                found[name] = version.digest
        elif isinstance(item, OutputInput) and item.job in ledger:
            output = ledger[item.job].outputs.get(item.output)
            if output is not None and output.version is not None:
                found[f"{namespace}/{output.version}"] = output.digest or ""
    return found


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The dataset version that a model is."""

    namespace: str
    dataset: str
    version: str
    digest: str


def model_version(
    job: CompiledJob,
    *,
    namespace: str,
    ledger: Mapping[str, JobRecord],
    pinned: Mapping[str, Pinned],
) -> ModelVersion:
    """What a `create-model@v1` job of a run in this namespace registers.

    Raises:
        StartRefused: the input called `model` was not recorded.
    """
    item = next(item for item in job.inputs if item.name == "model")
    if isinstance(item, DatasetInput) and str(item.reference) in pinned:
        found = pinned[str(item.reference)]
        return ModelVersion(found.namespace, found.dataset, found.version, found.digest)
    output = ledger[item.job].outputs.get(item.output) if isinstance(item, OutputInput) else None
    if output is None or output.version is None or output.digest is None:
        raise StartRefused("ModelMissing", "the input called model holds no dataset version")
    dataset, _, version = output.version.partition(":")
    return ModelVersion(namespace, dataset, version, output.digest)


async def register_model(
    client: KubeClient,
    job: CompiledJob,
    *,
    source: Source,
    version: ModelVersion,
) -> str:
    """Register a model and return its id, the name of the `GradientModel`.

    Raises:
        KubeError: the API server did not take it; try again.
    """
    if job.model is None:
        raise ValueError(f"job {job.name} registers no model")
    suffix = short_hash(source.run_uid, job.name)
    name = f"{object_name(job.model.name, limit=50)}-{suffix}"
    spec: dict[str, Any] = {
        "name": job.model.name,
        "type": job.model.type,
        "dataset": version.dataset,
        "version": version.version,
        "digest": version.digest,
        "origin": source.origin("model-id"),
    }
    if version.namespace != source.namespace:
        spec["datasetNamespace"] = version.namespace
    body = {
        "apiVersion": names.API_VERSION,
        "kind": "GradientModel",
        "metadata": {"name": name, "namespace": source.namespace},
        "spec": spec,
    }
    try:
        await client.create(MODELS, body)
    except AlreadyExists:
        return name
    return name
