"""Follows versions through the cluster: what each was made of, and what was made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.times import parse_time
from gradient_operator.kube.errors import Forbidden, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradient_operator.cli.cluster import Cluster

DEEPEST: Final = 16
"""Steps that are followed in each direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A version and what made it; one that was deleted has only its name."""

    name: str
    """`namespace/dataset:version`, as lineage has it."""
    exists: bool = True
    bytes: int = 0
    files: int = 0
    run: str | None = None
    job: str = ""
    output: str = ""
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """A run that has the version among its inputs."""

    name: str
    phase: str
    started: float | None


@dataclass(slots=True)
class Lineage:
    """A version with its sources and results, each with its distance from it."""

    version: Made
    sources: list[tuple[int, Made]] = field(default_factory=list)
    results: list[tuple[int, Made]] = field(default_factory=list)
    runs: list[Reader] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """Namespaces that may read the dataset and that this person may not read."""


async def trace(cluster: Cluster, dataset: Mapping[str, Any], version: str) -> Lineage:
    """Find what a version was made of and what became of it, in all namespaces that may know.

    Raises:
        KubeError: the API server does not answer, or the dataset's own namespace is closed.
    """
    name = f"{cluster.namespace}/{dataset['metadata']['name']}:{version}"
    readers: list[str] = (dataset.get("spec") or {}).get("readableFrom") or []
    known: dict[str, Made] = {}
    lineage = Lineage(version=Made(name=name))
    for namespace in dict.fromkeys([cluster.namespace, *readers]):
        try:
            listed = await cluster.client.list_all(DATASET_VERSIONS, namespace=namespace)
            lineage.runs += await _readers(cluster, namespace, name)
        except Forbidden:
            if namespace == cluster.namespace:
                raise
            lineage.unseen.append(namespace)
            continue
        for item in listed.items:
            made = _made(item)
            known[made.name] = made
    lineage.version = known.get(name, lineage.version)
    await _sources(cluster, lineage, known)
    _results(lineage, known)
    return lineage


async def _sources(cluster: Cluster, lineage: Lineage, known: dict[str, Made]) -> None:
    seen = {lineage.version.name}

    async def follow(made: Made, depth: int) -> None:
        for name in made.inputs:
            if name in seen or depth >= DEEPEST:
                continue
            seen.add(name)
            source = known.get(name) or await _get(cluster, name)
            lineage.sources.append((depth, source))
            await follow(source, depth + 1)

    await follow(lineage.version, 0)


def _results(lineage: Lineage, known: Mapping[str, Made]) -> None:
    readers: dict[str, list[Made]] = {}
    for made in known.values():
        for name in made.inputs:
            readers.setdefault(name, []).append(made)
    seen = {lineage.version.name}

    def follow(name: str, depth: int) -> None:
        for made in readers.get(name, ()):
            if made.name in seen or depth >= DEEPEST:
                continue
            seen.add(made.name)
            lineage.results.append((depth, made))
            follow(made.name, depth + 1)

    follow(lineage.version.name, 0)


async def _get(cluster: Cluster, name: str) -> Made:
    namespace, _, rest = name.partition("/")
    dataset, _, version = rest.partition(":")
    try:
        found = await cluster.client.get(
            DATASET_VERSIONS, name=f"{dataset}-{version}", namespace=namespace
        )
    except (NotFound, Forbidden):
        return Made(name=name, exists=False)
    return _made(found)


def _made(item: Mapping[str, Any]) -> Made:
    spec = item["spec"]
    origin = spec.get("origin") or {}
    return Made(
        name=f"{item['metadata']['namespace']}/{spec['dataset']}:{spec['version']}",
        bytes=spec["bytes"],
        files=spec["files"],
        run=origin.get("run"),
        job=origin.get("job") or "",
        output=origin.get("output") or "",
        inputs=tuple(origin.get("inputs") or ()),
    )


async def _readers(cluster: Cluster, namespace: str, name: str) -> list[Reader]:
    found = []
    async for page in cluster.client.list_pages(RUNS, namespace=namespace):
        for run in page.items:
            status = run.get("status") or {}
            if name in {_pinned(item) for item in (status.get("inputs") or {}).values()}:
                found.append(
                    Reader(
                        name=f"{namespace}/{run['metadata']['name']}",
                        phase=status.get("phase") or "Pending",
                        started=parse_time(run["metadata"].get("creationTimestamp")),
                    )
                )
    return found


def _pinned(item: Mapping[str, Any]) -> str:
    return f"{item.get('namespace')}/{item.get('dataset')}:{item.get('version')}"
