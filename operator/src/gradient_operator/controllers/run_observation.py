"""What is known of a run, put together for the planner."""

from collections.abc import Mapping

from gradient_operator.controllers import results
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Services
from gradient_operator.engine.model import Observation, Places, PodRecord, UploadResult


def observe(
    services: Services,
    view: RunView,
    state: RunState,
    *,
    pods: Mapping[tuple[str, int], PodRecord],
    storage_problem: str,
    places: Places | None,
    now: float,
) -> Observation:
    """Everything that the next plan of a run depends on; `now` in seconds since the epoch."""
    known: dict[str, UploadResult] = {}
    for pod in pods.values():
        record = state.ledger.get(pod.job)
        if record is not None and record.phase.final:
            continue
        result = state.results.get(pod.uid) or results.decode_pod(pod)
        if result is not None:
            known[pod.uid] = result
    return Observation(
        workflow=state.workflow,
        policy=state.policy,
        ledger=state.ledger,
        pods=pods,
        instance_types=services.definitions.instance_types,
        results=known,
        committed=frozenset(state.committed),
        models=state.models,
        volumes=state.volumes,
        claim_users=state.claim_users,
        mount_problems=state.mount_problems,
        storage_problem=storage_problem,
        problems=state.problems,
        silent_nodes=state.silent_nodes,
        cancel=view.cancel,
        cancel_grace=view.cancel_grace,
        suspended=view.suspended,
        suspended_seconds=state.suspension.total(now),
        started_at=state.started_at,
        places=places,
        ceilings=state.ceilings,
        default_image=services.config.default_image,
        input_digests=state.input_digests,
        found=state.found,
    )
