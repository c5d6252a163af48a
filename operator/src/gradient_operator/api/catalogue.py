"""The hosted service's machine types, as `GradientInstanceType` objects.

    python -m gradient_operator.api.catalogue [--check] manifests/instance-types

One table makes two sets. The real one carries the hosted sizes and selects nodes by a label that
names the type. The small one, in `pools/`, keeps the names and GPU counts and selects one of two
pools, so that any file of the hosted service runs on a laptop.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradient_operator.api.generated import write_or_check
from gradient_operator.api.machines import GPUS_OF, MACHINES, Machine
from gradient_operator.api.names import (
    API_VERSION,
    LABEL_INSTANCE_TYPE,
    LABEL_PART_OF,
    LABEL_POOL,
    PART_OF,
)

COMMAND: Final = "python -m gradient_operator.api.catalogue manifests/instance-types"
GPU_RESOURCE: Final = "nvidia.com/gpu"
SMALL_CPU: Final = "100m"
SMALL_MEMORY: Final = "512Mi"


@dataclass(frozen=True, slots=True)
class _Type:
    machine: Machine
    name: str
    gpus: int
    times: int
    """How often the machine's cpu and memory are taken."""


def _types() -> Iterator[_Type]:
    for machine in MACHINES:
        gpus = GPUS_OF.get(machine.name, 1 if machine.gpu else 0)
        yield _Type(machine, machine.name, gpus, 1)
        for count in machine.multiples:
            yield _Type(machine, f"{machine.name}x{count}", count, count)


def hosted() -> list[dict[str, Any]]:
    """The catalogue with the hosted sizes, one node label per type."""
    return [
        _instance_type(
            each,
            selector={LABEL_INSTANCE_TYPE: each.name},
            cpu=str(each.machine.cpu * each.times),
            memory=_gigabytes(each.machine.memory * each.times),
        )
        for each in _types()
    ]


def pools() -> list[dict[str, Any]]:
    """The catalogue for a laptop: the same names and GPU counts on the pools `cpu` and `gpu`."""
    return [
        _instance_type(
            each,
            selector={LABEL_POOL: "gpu" if each.gpus else "cpu"},
            cpu=SMALL_CPU,
            memory=SMALL_MEMORY,
        )
        for each in _types()
    ]


def _instance_type(
    each: _Type, *, selector: dict[str, str], cpu: str, memory: str
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": each.name,
        "description": _describe(each),
        "nodeSelector": selector,
        "cpu": cpu,
        "memory": memory,
    }
    if each.gpus:
        spec["gpu"] = {
            "count": each.gpus,
            "resource": GPU_RESOURCE,
            "model": each.machine.gpu,
            "memory": f"{each.machine.gpu_memory}G",
        }
        # Clusters keep ordinary Pods off their GPU nodes by this taint.
        spec["tolerations"] = [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}]
    if each.machine.price and each.times == 1:
        spec["pricePerHour"] = each.machine.price
    return {
        "apiVersion": API_VERSION,
        "kind": "GradientInstanceType",
        "metadata": {"name": each.name.lower(), "labels": {LABEL_PART_OF: PART_OF}},
        "spec": spec,
    }


def _describe(each: _Type) -> str:
    size = f"{each.machine.cpu * each.times} vCPU, {each.machine.memory * each.times:g} GB"
    if not each.gpus:
        return f"Hosted machine {each.name}: {size}"
    gpus = f"{each.gpus} x {each.machine.gpu} ({each.machine.gpu_memory} GB)"
    note = f"; cpu and memory are {each.times} times {each.machine.name}'s" * (each.times > 1)
    return f"Hosted machine {each.name}: {gpus}, {size}{note}"


def _gigabytes(size: float) -> str:
    return f"{size:.0f}G" if size >= 1 else f"{size * 1_000:.0f}M"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with `--check` compare them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gradient_operator.api.catalogue")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("folder", type=Path, help="manifests/instance-types")
    given = parser.parse_args(arguments)
    files = {"instance-types.yaml": hosted(), "pools/instance-types.yaml": pools()}
    return write_or_check(files, given.folder, command=COMMAND, check=given.check)


if __name__ == "__main__":
    sys.exit(main())
