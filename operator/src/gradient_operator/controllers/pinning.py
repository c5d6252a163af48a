"""Pins dataset inputs: each reference becomes one version, once, when the run starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.model import CompiledWorkflow, DatasetInput
from gradient_operator.workflow.references import DatasetReference, is_version_id

_ABSENT: Final = frozenset({"DatasetNotFound", "DatasetEmpty", "VersionNotFound"})
"""What an optional input may be."""


class StartRefused(Exception):
    """The run cannot start; `reason` is CamelCase, the message names the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Pinned:
    """The version that a reference means for this run."""

    dataset: str
    namespace: str
    version: str
    digest: str
    bytes: int

    def dump(self) -> dict[str, Any]:
        """As `status.inputs` holds it."""
        return {
            "dataset": self.dataset,
            "namespace": self.namespace,
            "version": self.version,
            "digest": self.digest,
            "bytes": self.bytes,
        }


def load_pinned(status: Mapping[str, Any]) -> dict[str, Pinned]:
    """The pinned versions out of a run's status, by reference as written."""
    return {text: Pinned(**data) for text, data in status.get("inputs", {}).items()}


async def pin_inputs(
    client: KubeClient,
    workflow: CompiledWorkflow,
    *,
    namespace: str,
    provider: str | None,
    public: Mapping[str, str],
) -> dict[str, Pinned]:
    """Pin every dataset reference of the workflow, each once; an optional one may be left out.

    `provider` is the storage provider that the run uses (None: the operator's default), `public`
    the namespaces that hold the datasets of teams which all may read, by team.

    Raises:
        StartRefused: a dataset or version does not exist, or this run may not read it.
        KubeError: the API server does not answer.
    """
    inputs = [
        item
        for job in workflow.jobs.values()
        for item in job.inputs
        if isinstance(item, DatasetInput)
    ]
    needed = {str(item.reference) for item in inputs if not item.optional}
    found: dict[str, Pinned] = {}
    for text, reference in {str(item.reference): item.reference for item in inputs}.items():
        try:
            found[text] = await _pin(
                client, reference, namespace=namespace, provider=provider, public=public
            )
        except StartRefused as refused:
            if text in needed or refused.reason not in _ABSENT:
                raise
    return found


async def _pin(
    client: KubeClient,
    reference: DatasetReference,
    *,
    namespace: str,
    provider: str | None,
    public: Mapping[str, str],
) -> Pinned:
    team = reference.namespace or namespace
    home = public.get(team, team)
    name = reference.object_name
    try:
        dataset = await client.get(DATASETS, name=name, namespace=home)
    except NotFound:
        raise StartRefused(
            "DatasetNotFound",
            f"dataset {reference.name!r} does not exist in namespace {home}. Put data into it: "
            f"gradient dataset put DIRECTORY {reference.name} -n {home}{_elsewhere(team, home)}",
        ) from None
    spec = dataset.get("spec", {})
    readers = spec.get("readableFrom", ())
    if team not in public and home != namespace and namespace not in readers:
        raise StartRefused(
            "DatasetForbidden",
            f"dataset {reference} may not be read from namespace {namespace}: its owner adds it to "
            "spec.readableFrom",
        )
    if spec.get("provider") != provider:
        kept = spec.get("provider") or "the default provider"
        raise StartRefused(
            "ProviderMismatch",
            f"dataset {reference} is kept by {kept}, the run uses {provider or 'the default'}: "
            "set policy.datasets.provider",
        )
    return await _version(client, reference, dataset, home)


def _elsewhere(team: str, home: str) -> str:
    """A dataset of a team of the hosted service may be kept in any namespace."""
    if team != "gradient" or home != team:
        return ""
    return (
        "; or name the namespace that holds the vendor's public datasets under "
        "publicDatasets.gradient in the operator's configuration"
    )


async def _version(
    client: KubeClient, reference: DatasetReference, dataset: Mapping[str, Any], home: str
) -> Pinned:
    name = reference.object_name
    wanted = reference.version
    if wanted is None:
        latest = dataset.get("status", {}).get("latest")
        if latest is None:
            raise StartRefused(
                "DatasetEmpty",
                f"dataset {reference.name!r} in namespace {home} has no version yet: an input of "
                "type dataset is read as it was before the run; to use what a job of this run "
                "writes, refer to JOB.outputs.NAME",
            )
        return Pinned(name, home, latest["version"], latest["digest"], latest["bytes"])
    tags = dataset.get("spec", {}).get("tags", {})
    version = tags.get(wanted, wanted)
    try:
        if not is_version_id(version):
            raise NotFound("neither a tag nor a version id")
        found = await client.get(DATASET_VERSIONS, name=f"{name}-{version}", namespace=home)
    except NotFound:
        raise StartRefused(
            "VersionNotFound",
            f"dataset {reference.name!r} has no version or tag {wanted!r}. List them: "
            f"gradient dataset versions {reference.name} -n {home}",
        ) from None
    spec = found["spec"]
    return Pinned(name, home, spec["version"], spec["digest"], spec["bytes"])
