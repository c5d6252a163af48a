"""Begins a rerun: reads the run that it names, and takes over what that run made.

Once, before the first Pod: afterwards the run's own status holds it, and the earlier run may go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradient_operator.api.run import RerunOf, RunSpec
from gradient_operator.controllers.ledger import load_jobs
from gradient_operator.controllers.pinning import Pinned, StartRefused, load_pinned
from gradient_operator.controllers.records import RunView
from gradient_operator.engine.model import JobRecord, RunPhase
from gradient_operator.engine.rerun import unknown
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import RUNS
from gradient_operator.workflow.model import CompiledWorkflow


@dataclass(frozen=True, slots=True)
class Parent:
    """What an earlier run decided and made."""

    name: str
    pinned: Mapping[str, Pinned]
    ledger: Mapping[str, JobRecord]


async def read_parent(
    client: KubeClient, view: RunView, spec: RunSpec, workflow: CompiledWorkflow
) -> Parent | None:
    """The run that a run says it reruns; None: it says none.

    Raises:
        StartRefused: there is no such run, it has not ended, or it had another definition.
        KubeError: the API server does not answer.
    """
    wanted = spec.rerun_of
    if wanted is None:
        return None
    anew = f"gradient run {view.workflow}" if view.workflow else "gradient run FILE"
    try:
        run = await client.get(RUNS, name=wanted.name, namespace=view.namespace)
    except NotFound:
        run = {}
    if not run or wanted.uid not in (None, run["metadata"]["uid"]):
        raise StartRefused(
            "RerunParentGone",
            f"run {wanted.name}, which this one reruns, does not exist any more (finished runs are "
            f"deleted by policy.history; an archive cannot be rerun). Start afresh: {anew}",
        )
    status = run.get("status") or {}
    if status.get("phase") not in {phase.value for phase in RunPhase if phase.final}:
        raise StartRefused(
            "RerunParentUnderWay",
            f"run {wanted.name}, which this one reruns, has not ended. Wait for it, or stop it: "
            f"gradient cancel {wanted.name} -n {view.namespace}",
        )
    _check_same(view, run["spec"], wanted, workflow, anew=anew)
    return Parent(wanted.name, load_pinned(status), load_jobs(status))


def _check_same(
    view: RunView,
    before: Mapping[str, Any],
    wanted: RerunOf,
    workflow: CompiledWorkflow,
    *,
    anew: str,
) -> None:
    different = [
        key
        for key in ("definition", "inputs")
        if (view.spec.get(key) or {}) != (before.get(key) or {})
    ]
    if different:
        raise StartRefused(
            "RerunDiffers",
            f"spec.{different[0]} is not that of run {wanted.name}, which this one reruns: a rerun "
            f"keeps both. To run something else: {anew}",
        )
    strangers = unknown(workflow, wanted.from_)
    if strangers:
        raise StartRefused(
            "RerunDiffers", f"spec.rerunOf.from names {strangers[0]!r}, which is no job of the run"
        )
