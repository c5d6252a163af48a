"""What the rules of our CRDs cost the API server where it takes a new run.

python -m hack.cluster up --name simulated && python -m tests.bench.admission [--also FILE]

Each round makes runs under the CRD as it is, under the same without rules and, to compare, under
that of FILE, in turns. Counted is the processor time of the API server, by its own metric.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.credentials import load_credentials
from gradient_operator.kube.resources import CRDS, NAMESPACES, RUNS
from tests.bench import definitions, exposition
from tests.bench.engines import GRADIENT
from tests.bench.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

KUBECONFIG: Final = ROOT / ".local" / "simulated.kubeconfig"
OURS: Final = ROOT / "crds" / "gradientruns.yaml"
RULES: Final = "x-kubernetes-validations"
PROCESSOR: Final = "process_cpu_seconds_total"
SETTLED_SECONDS: Final = 4.0
"""The API server takes a changed CRD up after its answer, and says nowhere that it has."""
RUNS_OF: Final = {1: 500, 1_000: 10}
"""How many runs are made, by the number of their jobs."""


async def measure(client: KubeClient, *, namespace: str, width: int) -> float:
    """Milliseconds of the API server's processor for each new run."""
    jobs = {f"Job{number:04}": definitions.job("C4") for number in range(width)}
    runs = [GRADIENT.submission(uuid.uuid4().hex, namespace, jobs) for _ in range(RUNS_OF[width])]
    before = await _spent(client)
    await asyncio.gather(*(client.create(RUNS, run, brief=True) for run in runs))
    spent = await _spent(client) - before
    names = [run["metadata"]["name"] for run in runs]
    await asyncio.gather(*(client.delete(RUNS, name=name, namespace=namespace) for name in names))
    return spent / len(runs) * 1e3


async def _spent(client: KubeClient) -> float:
    text = (await client.raw_get("/metrics")).decode()
    return exposition.parse(text, names=(PROCESSOR,)).total(PROCESSOR)


def without_rules(schema: Any) -> Any:
    """A CRD, or a part of one, as the API server would take it unchecked."""
    if isinstance(schema, list):
        return [without_rules(part) for part in schema]
    if isinstance(schema, dict):
        return {key: without_rules(part) for key, part in schema.items() if key != RULES}
    return schema


async def _take(client: KubeClient, definition: dict[str, Any]) -> None:
    # kubectl's own name: were it another, fields that a later apply leaves out would stay.
    name = definition["metadata"]["name"]
    await client.apply(CRDS, definition, name=name, field_manager="kubectl")
    await asyncio.sleep(SETTLED_SECONDS)


async def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.admission")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--also", type=Path, metavar="FILE", help="another gradientruns.yaml")
    asked = parser.parse_args(arguments)
    ours = yaml.safe_load(OURS.read_text())
    variants = {"as it is": ours, "without rules": without_rules(ours)}
    if asked.also:
        variants[asked.also.name] = yaml.safe_load(asked.also.read_text())
    found: dict[tuple[str, int], list[float]] = {}
    namespace = f"admission-{uuid.uuid4().hex[:6]}"
    async with KubeClient(load_credentials(KUBECONFIG), user_agent="bench") as client:
        await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        try:
            for _ in range(asked.rounds):
                for name, definition in variants.items():
                    await _take(client, definition)
                    for width in RUNS_OF:
                        spent = await measure(client, namespace=namespace, width=width)
                        found.setdefault((name, width), []).append(spent)
        finally:
            await _take(client, ours)
            await client.delete(NAMESPACES, name=namespace)
    print(f"{'CRD':<24} {'jobs':>5}  processor of the API server for a new run, ms")
    for (name, width), values in found.items():
        spread = f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        print(f"{name:<24} {width:>5}  {spread}")


if __name__ == "__main__":
    asyncio.run(main())
