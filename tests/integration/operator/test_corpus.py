"""Whole files run to their end: our own, and real ones, in the folder that GRADIENT_CORPUS names.

The machine types are the only thing that is changed: to those whose Pods a test plays, of the same
pool. All files run at once; what a file needs from outside (datasets, the push that started it,
values of its inputs) is there before.
"""

import copy
import csv
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gradient_operator.api.run import RunInput
from gradient_operator.kube.resources import (
    DATASET_VERSIONS,
    DATASETS,
    INSTANCE_TYPES,
    RUNS,
    STORAGE_CLASSES,
)
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.loader import FileProblem, load
from gradient_operator.workflow.model import (
    CompiledWorkflow,
    DatasetInput,
    Refused,
    SharedVolumeInput,
)
from gradient_operator.workflow.references import DatasetReference, is_version_id, version_id
from gradient_operator.workflow.validate import parse_file
from tests.builders import DIGEST
from tests.integration.operator.player import (
    CLASS,
    Player,
    machine_types,
    storage_class,
)
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.storage import Storage
from tests.waiting import eventually

OWN = Path(__file__).parents[2] / "golden"
MUST_RUN = {"ok", "legacy"}
MAY_RUN = {"undocumented"}
"""Files that nobody knows of whether they ran; those that are valid here run as well."""
EVENT = {"event": {"github": {"url": "https://example.org/r.git", "ref": "c0ffee" + "0" * 34}}}
VERSION = version_id(DIGEST)


@dataclass(frozen=True)
class Case:
    """A file, ready to run."""

    name: str
    data: dict[str, Any]
    inputs: dict[str, Any]
    workflow: CompiledWorkflow


Named = Iterator[tuple[str, Path, bool]]
"""Files with their names, and whether they must be valid."""


def own() -> Named:
    """The small files of this repository, one for each construct."""
    for path in sorted(OWN.glob("*.yaml")):
        if not path.name.endswith(".pods.yaml"):
            yield f"own-{path.stem}", path, True


def real() -> Named:
    """What people have written."""
    folder = os.environ.get("GRADIENT_CORPUS")
    if not folder:
        pytest.skip("set GRADIENT_CORPUS to a folder of workflow files")
    with (Path(folder) / "INDEX.tsv").open(newline="") as index:
        for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = Path(folder) / row["file"]
            if row["status"] in MUST_RUN | MAY_RUN:
                yield path.stem, path, row["status"] in MUST_RUN


def prepare(name: str, path: Path) -> Case:
    """Read a file; give it an event, values for its inputs, and machines that a test plays."""
    data = copy.deepcopy(dict(load(path.read_bytes().decode(), source=path.name).data))
    data.setdefault("context", EVENT)
    for holder in (data.get("defaults") or {}, *data["jobs"].values()):
        resources = holder.get("resources") or {}
        if "instance-type" in resources:
            small = resources["instance-type"].startswith(("C", "metal-cpu"))
            resources["instance-type"] = "played-cpu" if small else "played-gpu"
    inputs = {
        key: {"value": "a value"} if item["type"] == "string" else {"ref": "given-dataset"}
        for key, item in (data.get("inputs") or {}).items()
        if "with" not in item
    }
    file = parse_file(data)
    given = {key: RunInput(**value) for key, value in inputs.items()}
    return Case(name.lower(), data, inputs, compile_file(file, given=given).workflow)


def cases(files: Named) -> list[Case]:
    """Every file that can run; one that must and cannot fails the test."""
    found = []
    for name, path, must in files:
        try:
            found.append(prepare(name, path))
        except (FileProblem, Refused) as problem:
            if must:
                raise AssertionError(f"{name} is refused: {problem}") from problem
    return found


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    made = Storage()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_operator(installed, namespace, tmp_path_factory, storage) -> Iterator[OperatorProcess]:
    """The module's operator has a default provider, and the vendor's datasets in its namespace."""
    folder = tmp_path_factory.mktemp("operator")
    process = OperatorProcess(
        installed,
        namespace,
        folder,
        storage=storage.provider(folder),
        publicDatasets={"gradient": namespace},
    )
    process.start()
    yield process
    process.stop()


def references(found: list[Case]) -> dict[str, list[DatasetReference]]:
    """The datasets that the files read, by object name."""
    every: dict[str, list[DatasetReference]] = {}
    for case in found:
        for job in case.workflow.jobs.values():
            for item in job.inputs:
                if isinstance(item, DatasetInput):
                    every.setdefault(item.reference.object_name, []).append(item.reference)
    return every


async def make_datasets(client, namespace, found: list[Case]) -> None:
    """Every dataset that a file reads, with one version, under all tags and ids that are read."""
    for name, wanted in references(found).items():
        texts = {item.version for item in wanted if item.version is not None}
        ids = {text for text in texts if is_version_id(text)}
        tags = dict.fromkeys(sorted(texts - ids), VERSION)
        await client.apply(
            DATASETS,
            {"spec": {"name": wanted[0].name, "tags": tags}},
            name=name,
            namespace=namespace,
            field_manager="tests",
        )
        for version in {VERSION, *ids}:
            spec = {"dataset": name, "version": version, "digest": DIGEST, "bytes": 7, "files": 1}
            await client.apply(
                DATASET_VERSIONS,
                {"spec": spec},
                name=f"{name}-{version}",
                namespace=namespace,
                field_manager="tests",
            )
        latest = {
            "version": VERSION,
            "digest": DIGEST,
            "bytes": 7,
            "files": 1,
            "createdAt": "2026-01-31T12:00:00Z",
        }
        await client.merge_patch(
            DATASETS,
            {"status": {"latest": latest, "versions": 1}},
            name=name,
            namespace=namespace,
            subresource="status",
        )


def volume_policy(case: Case) -> dict[str, Any]:
    """One volume that jobs on all machines write, as the oldest files have it, has to be shared."""
    shared = any(
        isinstance(item, SharedVolumeInput)
        for job in case.workflow.jobs.values()
        for item in job.inputs
    )
    return {"storageClass": CLASS, **({"mode": "ReadWriteMany"} if shared else {})}


async def ended(client, player: Player, found: list[Case]) -> dict[str, dict[str, Any]]:
    """Wait until all runs have ended; their statuses by name."""

    async def ask() -> dict[str, dict[str, Any]]:
        player.check()
        listed = await client.list_all(RUNS, namespace=player.namespace)
        statuses = {run["metadata"]["name"]: run.get("status", {}) for run in listed.items}
        going = {
            name: {
                job: (item.get("phase"), item.get("message"))
                for job, item in status.get("jobs", {}).items()
                if item.get("phase") not in {"Succeeded", "Pending"} or item.get("message")
            }
            for name, status in statuses.items()
            if status.get("phase") not in {"Succeeded", "Failed", "Cancelled"}
        }
        assert statuses.keys() >= {case.name for case in found}
        assert not going, f"{len(going)} of {len(statuses)} runs are under way: {going}"
        return statuses

    return await eventually(ask, seconds=200, pause=0.5)


@pytest.fixture
async def player(client, namespace) -> AsyncIterator[Player]:
    await client.apply(STORAGE_CLASSES, storage_class(), name=CLASS, field_manager="tests")
    made = Player(client, namespace)
    yield made
    await made.tidy()


@pytest.mark.parametrize("files", [own, real], ids=lambda files: files.__name__)
async def test_every_valid_file_runs_to_its_end_in_order(
    operator, client, namespace, player, files
):
    found = cases(files())
    assert found
    for body in machine_types():
        name = body["metadata"]["name"]
        await client.apply(INSTANCE_TYPES, body, name=name, field_manager="tests")
    await make_datasets(client, namespace, found)
    with player.playing():
        for case in found:
            body = {
                "apiVersion": RUNS.api_version,
                "kind": RUNS.kind,
                "metadata": {"name": case.name, "namespace": namespace},
                "spec": {
                    "definition": case.data,
                    "inputs": case.inputs,
                    "policy": {"volumes": volume_policy(case)},
                },
            }
            await client.create(RUNS, body)
        statuses = await ended(client, player, found)
    wrong = {
        case.name: problem
        for case in found
        if (problem := problem_of(case, statuses[case.name], player))
    }
    assert not wrong


def problem_of(case: Case, status: dict[str, Any], player: Player) -> str:
    """What is wrong with how a file ran, or nothing."""
    if status["phase"] != "Succeeded":
        return f"it is {status['phase']}: {status.get('message')}"
    phases = {name: job["phase"] for name, job in status["jobs"].items()}
    if phases != dict.fromkeys(case.workflow.jobs, "Succeeded"):
        return f"its jobs are {phases}"
    without_pod = {name for name, job in case.workflow.jobs.items() if job.model is not None}
    for name, job in case.workflow.jobs.items():
        pods = player.pods.get((case.name, name), [])
        if len(pods) != (name not in without_pod):
            return f"job {name} had {len(pods)} Pods"
        early = (
            set(job.needs) - without_pod - player.done_before.get((case.name, name), frozenset())
        )
        if pods and early:
            return f"job {name} had a Pod before {early} had succeeded"
    return ""
