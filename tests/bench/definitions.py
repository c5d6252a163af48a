"""The loads as Gradient files, and the Pods that the operator would make of them, made by hand."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api import names
from gradient_operator.api.workflow import Policy
from gradient_operator.config import OperatorConfig
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import PodRequest, RunIdentity, Settings
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.validate import parse_file

if TYPE_CHECKING:
    from gradient_operator.api.instance_type import InstanceTypeSpec

IMAGE: Final = "docker.io/library/busybox:1.36"
MANAGER: Final = "gradient-bench"
"""On the bare client's Pods, so that no operator takes them for its own."""


def job(machine_type: str, *needs: str) -> dict[str, Any]:
    """An instant job without inputs and outputs."""
    return {
        "resources": {"instance-type": machine_type},
        "uses": "container@v1",
        "with": {"image": IMAGE, "args": ["true"]},
        **({"needs": list(needs)} if needs else {}),
    }


def chain(machine_type: str, length: int) -> dict[str, Any]:
    """Jobs of which each needs the one before; in order."""
    jobs = [f"Level{number:02}" for number in range(length)]
    return {
        name: job(machine_type, *jobs[max(0, index - 1) : index]) for index, name in enumerate(jobs)
    }


def fan_out(machine_type: str, width: int) -> dict[str, Any]:
    """One job, `width` jobs that need it, and one that needs all of those."""
    middle = [f"Middle{number:04}" for number in range(width)]
    return {
        "First": job(machine_type),
        **{name: job(machine_type, "First") for name in middle},
        "Last": job(machine_type, *middle),
    }


def bare_pods(
    jobs: dict[str, Any], *, run: str, namespace: str, machine_type: InstanceTypeSpec
) -> dict[str, dict[str, Any]]:
    """The Pods of a run by job, as the operator builds them, that belong to nobody.

    Without owner (the garbage collector would remove them) and finalizer (nobody would take it
    off), and with another manager.
    """
    compiled = compile_file(parse_file({"jobs": jobs}), given={}).workflow
    identity = RunIdentity(name=run, uid=str(uuid.uuid4()), namespace=namespace, workflow="")
    settings = Settings(OperatorConfig().helper_image, finalizer=False)
    pods = {}
    for name, compiled_job in compiled.jobs.items():
        pod = build_pod(
            PodRequest(
                run=identity,
                job=compiled_job,
                attempt=1,
                machine=machine_type,
                policy=Policy(),
                settings=settings,
            )
        )
        del pod["metadata"]["ownerReferences"]
        pod["metadata"]["labels"][names.LABEL_MANAGED_BY] = MANAGER
        pods[name] = pod
    return pods
