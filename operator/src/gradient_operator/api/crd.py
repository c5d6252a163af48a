"""The CRDs of group `gradient.run`, made from the pydantic models.

    python -m gradient_operator.api.crd [--check] crds/

The files are committed, and a test proves that regeneration changes nothing: they are what a person
applies, the models are what the operator believes.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from gradient_operator.api.base import Model
from gradient_operator.api.datasets import (
    DatasetSpec,
    DatasetStatus,
    DatasetVersionSpec,
    DatasetVersionStatus,
    ModelSpec,
    StorageProviderSpec,
    StorageProviderStatus,
)
from gradient_operator.api.generated import write_or_check
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.names import GROUP, KINDS, LABEL_PART_OF, PART_OF, VERSION
from gradient_operator.api.rules import OBJECT_NAME, RUN_OBJECT, add_rules
from gradient_operator.api.run import RunSpec, RunStatus
from gradient_operator.api.structural import Schema, structural_schema
from gradient_operator.api.workflow import GradientFile, WorkflowSpec, WorkflowStatus

COMMAND: Final = "python -m gradient_operator.api.crd crds/"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; a wide one is shown with `-o wide` only."""

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False

    def as_schema(self) -> dict[str, Any]:
        """The entry as a CRD holds it."""
        entry: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return entry | {"priority": 1} if self.wide else entry


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind and how kubectl shows it."""

    name: str
    short: str
    text: str
    spec: type[Model]
    columns: tuple[Column, ...]
    status: type[Model] | None = None
    cluster: bool = False
    selectable: tuple[str, ...] = ()
    label_sized: bool = False
    """Whether its name becomes a label, and so may have 63 characters only."""


AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
ACCEPTED: Final = '.status.conditions[?(@.type=="Accepted")]'
READY: Final = '.status.conditions[?(@.type=="Ready")]'
ARCHIVED: Final = '.status.conditions[?(@.type=="Archived")]'

ALL: Final = (
    Kind(
        name="GradientWorkflow",
        short="gwf",
        text="A definition: a Gradient file, and the policy under which it runs here.",
        spec=WorkflowSpec,
        status=WorkflowStatus,
        label_sized=True,
        columns=(
            Column("Accepted", f"{ACCEPTED}.status"),
            Column("Jobs", ".status.jobs", "integer"),
            Column("Last run", ".status.lastRun.name"),
            Column("Phase", ".status.lastRun.phase"),
            Column("Next run", ".status.schedule.next"),
            AGE,
            Column("Message", f"{ACCEPTED}.message", wide=True),
        ),
    ),
    Kind(
        name="GradientRun",
        short="gwr",
        text="One execution of a workflow; its status holds every job.",
        spec=RunSpec,
        status=RunStatus,
        label_sized=True,
        selectable=(".spec.workflow", ".status.phase"),
        columns=(
            Column("Workflow", ".spec.workflow"),
            Column("Phase", ".status.phase"),
            Column("Progress", ".status.progress"),
            AGE,
            Column("Archived", f"{ARCHIVED}.status", wide=True),
            Column("Message", ".status.message", wide=True),
        ),
    ),
    Kind(
        name="GradientDataset",
        short="gds",
        text="A named dataset, whose versions are GradientDatasetVersions.",
        spec=DatasetSpec,
        status=DatasetStatus,
        columns=(
            Column("Latest", ".status.latest.version"),
            Column("Versions", ".status.versions", "integer"),
            Column("Size", ".status.size"),
            Column("Files", ".status.latest.files", "integer"),
            Column("Tags", ".status.tags"),
            Column("Ready", f"{READY}.status"),
            AGE,
            Column("Message", f"{READY}.message", wide=True),
            Column("Description", ".spec.description", wide=True),
        ),
    ),
    Kind(
        name="GradientDatasetVersion",
        short="gdv",
        text="One immutable version of a dataset, and what made it.",
        spec=DatasetVersionSpec,
        status=DatasetVersionStatus,
        selectable=(".spec.dataset", ".spec.version"),
        columns=(
            Column("Dataset", ".spec.dataset"),
            Column("Version", ".spec.version"),
            Column("Tags", ".status.tags"),
            Column("Size", ".status.size"),
            Column("Files", ".spec.files", "integer"),
            Column("Made by", ".status.madeBy"),
            Column("Used by", ".status.usedBy[0]"),
            AGE,
            Column("Expires", ".status.expiresAt", wide=True),
            Column("Message", ".spec.message", wide=True),
        ),
    ),
    Kind(
        name="GradientStorageProvider",
        short="gsp",
        text="An S3 bucket that holds datasets.",
        spec=StorageProviderSpec,
        status=StorageProviderStatus,
        columns=(
            Column("Endpoint", ".spec.endpoint"),
            Column("Bucket", ".spec.bucket"),
            Column("Ready", f"{READY}.status"),
            AGE,
            Column("Message", f"{READY}.message", wide=True),
        ),
    ),
    Kind(
        name="GradientInstanceType",
        short="gin",
        text="A machine type, as jobs name it under `instance-type`.",
        spec=InstanceTypeSpec,
        cluster=True,
        columns=(
            Column("Type", ".spec.name"),
            Column("CPU", ".spec.cpu"),
            Column("Memory", ".spec.memory"),
            Column("GPU", ".spec.gpu.count", "integer"),
            Column("Price", ".spec.pricePerHour"),
            Column("GPU model", ".spec.gpu.model", wide=True),
            Column("Description", ".spec.description", wide=True),
        ),
    ),
    Kind(
        name="GradientModel",
        short="gmodel",
        text="A registered model: a name and type for a dataset version.",
        spec=ModelSpec,
        selectable=(".spec.dataset", ".spec.version"),
        columns=(
            Column("Model", ".spec.name"),
            Column("Type", ".spec.type"),
            Column("Dataset", ".spec.dataset"),
            Column("Version", ".spec.version"),
            Column("Made by", ".spec.origin.run"),
            AGE,
            Column("Job", ".spec.origin.job", wide=True),
        ),
    ),
)


def crd(kind: Kind) -> dict[str, Any]:
    """The `CustomResourceDefinition` of a kind."""
    plural = KINDS[kind.name]
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.as_schema() for column in kind.columns],
        "schema": {"openAPIV3Schema": _object_schema(kind)},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    if kind.status is not None:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {LABEL_PART_OF: PART_OF}},
        "spec": {
            "group": GROUP,
            "scope": "Cluster" if kind.cluster else "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["gradient"],
            },
            "versions": [version],
        },
    }


def _object_schema(kind: Kind) -> Schema:
    schema: Schema = {
        "description": kind.text,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(kind.spec, decorate=_decorate),
        },
    }
    if kind.status is not None:
        schema["properties"]["status"] = structural_schema(kind.status)
    rules = (OBJECT_NAME if kind.label_sized else ()) + (RUN_OBJECT if kind.spec is RunSpec else ())
    if rules:
        schema["x-kubernetes-validations"] = [rule.as_schema() for rule in rules]
    return schema


def _decorate(model: type[BaseModel], schema: Schema) -> None:
    add_rules(model, schema)
    if issubclass(model, GradientFile):
        # kubectl sends a bare `on:` under this key; the model's validator moves it back.
        on = schema["properties"]["on"]
        schema["properties"]["true"] = on | {"description": "What YAML 1.1 makes of a bare `on`."}


def files() -> dict[str, list[dict[str, Any]]]:
    """The documents of each file, by file name."""
    return {f"{KINDS[kind.name]}.yaml": [crd(kind)] for kind in ALL}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with `--check` compare them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gradient_operator.api.crd")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("folder", type=Path, help="where the files are")
    given = parser.parse_args(arguments)
    return write_or_check(files(), given.folder, command=COMMAND, check=given.check)


if __name__ == "__main__":
    sys.exit(main())
