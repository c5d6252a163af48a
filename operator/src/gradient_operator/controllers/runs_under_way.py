"""Lists the runs that have not ended, as they are now and not as a cache has them."""

from typing import Final

from gradient_operator.controllers.records import RunView, project_run
from gradient_operator.engine.model import RunPhase
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError
from gradient_operator.kube.resources import RUNS

_BAD_REQUEST: Final = 400
_UNDER_WAY: Final = ",".join(f"status.phase!={phase}" for phase in RunPhase if phase.final)


async def list_under_way(client: KubeClient, *, namespace: str | None) -> list[RunView]:
    """All of them, of one namespace or of the cluster.

    Raises:
        KubeError: the API server does not answer.
    """
    try:
        listed = await client.list_all(RUNS, namespace=namespace, field_selector=_UNDER_WAY)
    except KubeError as error:
        if error.status != _BAD_REQUEST:
            raise
        # Kubernetes before 1.31 selects custom resources by their names only.
        listed = await client.list_all(RUNS, namespace=namespace)
    views = [project_run(run) for run in listed.items]
    return [view for view in views if not view.final]
