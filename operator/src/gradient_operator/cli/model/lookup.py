"""Registered models as the commands show them, found by what people call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradient_operator.api.times import parse_time
from gradient_operator.cli.errors import CommandError
from gradient_operator.kube.resources import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradient_operator.cli.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """One `GradientModel`: a version of the model that has this name."""

    id: str
    name: str
    kind: str
    namespace: str
    """Of the dataset."""
    dataset: str
    version: str
    digest: str
    made_by: str
    created: str

    @property
    def created_at(self) -> float | None:
        """Seconds since the epoch."""
        return parse_time(self.created)

    @property
    def reference(self) -> str:
        """The dataset version that it is, for `gradient dataset`."""
        return f"{self.namespace}/{self.dataset}:{self.version}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "datasetVersion": self.reference,
            "digest": self.digest,
            "madeBy": self.made_by,
            "createdAt": self.created,
        }


def registered(item: Mapping[str, Any]) -> Registered:
    """Read a `GradientModel`."""
    metadata, spec = item["metadata"], item["spec"]
    origin = spec.get("origin") or {}
    return Registered(
        id=metadata["name"],
        name=spec["name"],
        kind=spec["type"],
        namespace=spec.get("datasetNamespace") or metadata["namespace"],
        dataset=spec["dataset"],
        version=spec["version"],
        digest=spec["digest"],
        made_by=f"{origin['run']}/{origin.get('job') or ''}" if origin.get("run") else "",
        created=str(metadata.get("creationTimestamp") or ""),
    )


async def list_models(cluster: Cluster) -> list[Registered]:
    """The models of the namespace, newest first."""
    listed = await cluster.client.list_all(MODELS, namespace=cluster.namespace)
    found = [registered(item) for item in listed.items]
    found.sort(key=lambda model: (-(model.created_at or 0), model.name, model.id))
    return found


def choose(models: Sequence[Registered], text: str, *, namespace: str) -> Registered:
    """The model that `text` means: an id, NAME (the newest), or NAME:VERSION.

    Raises:
        CommandError: there is none.
    """
    name, _, version = text.rpartition(":") if ":" in text else (text, "", "")
    for model in models:
        if model.id == text or (model.name == name and version in {"", "latest", model.version}):
            return model
    raise CommandError(
        f"There is no model {text!r} in namespace {namespace}. List them: gradient model list "
        f"-n {namespace}"
    )
