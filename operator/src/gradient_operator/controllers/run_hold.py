"""Keeps a deleted run until its Pods were told to stop within seconds.

Garbage collection deletes a run's Pods with the grace that they were made with, an hour for those
that upload, and the kubelet does not heed a shorter one afterwards: a training that ignores SIGTERM
would hold its GPU for that hour. So a run that uploads carries a finalizer while it is under way,
and the operator stops its Pods before it lets the run go. Plain runs need none.
"""

from gradient_operator.api import names
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_state import RunState
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.resources import RUNS


def needs_hold(state: RunState) -> bool:
    """Whether a Pod of the run may have a long grace."""
    copied = any(volume.mode == "Copy" for volume in state.volumes.values())
    return copied or any(
        output.type != "volume"
        for job in state.workflow.jobs.values()
        if job.model is None
        for output in job.outputs
    )


async def hold(client: KubeClient, view: RunView) -> None:
    """Put the finalizer on a run.

    Raises:
        KubeError: it could not be put there: no Pod may be made yet.
    """
    await _set(client, view, [*view.other_finalizers, names.FINALIZER_STOP])


async def let_go(client: KubeClient, view: RunView) -> None:
    """Take the finalizer off a run; one that is gone needs nothing."""
    try:
        await _set(client, view, list(view.other_finalizers))
    except (NotFound, Conflict):
        return


async def _set(client: KubeClient, view: RunView, finalizers: list[str]) -> None:
    body = {"metadata": {"uid": view.uid, "finalizers": finalizers or None}}
    await client.merge_patch(RUNS, body, name=view.name, namespace=view.namespace, brief=True)
