"""The claims of a run's volumes: made before their first user, deleted after the last one.

Runs are kept as history, and would keep their claims with them; so would their ended Pods, which
are kept for their logs (docs/decisions/0010). A claim belongs to the run by its labels and its
owner; what only has the same name is left alone.
"""

import logging
from contextlib import suppress
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import PodIndex
from gradient_operator.engine.model import VolumeRecord
from gradient_operator.engine.volumes import claim_size
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound
from gradient_operator.kube.resources import CLAIMS
from gradient_operator.pods.build import owner
from gradient_operator.pods.names import label_value

logger = logging.getLogger(__name__)

PROTECTION: Final = "kubernetes.io/pvc-protection"
"""Kubernetes' own finalizer: it stays while any Pod names the claim, also one that has ended."""


async def create(
    client: KubeClient,
    state: RunState,
    claim: str,
    *,
    volume: VolumeRecord,
    shared_class: str | None,
) -> None:
    """Make a claim; one that this run has made before is taken.

    Raises:
        Conflict: a claim of that name belongs to something else.
        KubeError: the API server did not take it; try again.
    """
    run = state.identity
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": claim,
            "namespace": run.namespace,
            "labels": {
                names.LABEL_MANAGED_BY: names.MANAGER,
                names.LABEL_RUN: label_value(run.name),
                names.LABEL_RUN_UID: run.uid,
            },
            "ownerReferences": [owner(run.name, run.uid)],
        },
        "spec": _spec(state, claim, volume=volume, shared_class=shared_class),
    }
    try:
        await client.create(CLAIMS, body)
    except AlreadyExists:
        if not await _find(client, state, claim):
            raise Conflict(
                f"a claim called {claim} exists that does not belong to this run: an earlier "
                "run's goes with its Pods, delete another one"
            ) from None


def _spec(
    state: RunState, claim: str, *, volume: VolumeRecord, shared_class: str | None
) -> dict[str, Any]:
    policy = state.policy.volumes
    size = claim_size(policy, claim, state.volumes)
    spec: dict[str, Any] = {
        "accessModes": [volume.mode],
        "resources": {"requests": {"storage": size}},
    }
    storage_class = policy.storage_class or (
        shared_class if volume.mode == "ReadWriteMany" else None
    )
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return spec


async def drop(client: KubeClient, state: RunState, claim: str, *, in_use: bool) -> bool:
    """Delete a claim of this run; answers whether nothing is left to do.

    `in_use`: a Pod that mounts it has not ended. One that an old role does not let us delete goes
    with the run.

    Raises:
        KubeError: the API server did not take it; try again.
    """
    found = await _find(client, state, claim)
    if not found:
        return True
    metadata = found["metadata"]
    try:
        if "deletionTimestamp" not in metadata:
            await client.delete(
                CLAIMS, name=claim, namespace=metadata["namespace"], uid=metadata["uid"]
            )
        if in_use:
            return False
        # Taken off before the deletion, the protection would be put on again.
        found = await _find(client, state, claim)
        if found:
            await _take_protection_off(client, found)
    except Forbidden as error:
        logger.warning("claim %s stays until its run is deleted: %s", claim, error)
    except NotFound:
        return True
    return True


async def release_left(client: KubeClient, pods: PodIndex, *, namespace: str | None) -> None:
    """Take the protection off claims that an operator before us has only deleted.

    Raises:
        KubeError: the API server did not take it; try again.
    """
    mine = f"{names.LABEL_MANAGED_BY}={names.MANAGER}"
    listed = await client.list_all(CLAIMS, namespace=namespace, label_selector=mine)
    for claim in listed.items:
        metadata = claim["metadata"]
        run = next((item["name"] for item in metadata.get("ownerReferences", ())), "")
        users = pods.of(metadata["namespace"], run).values()
        if "deletionTimestamp" in metadata and all(pod.terminal for pod in users):
            with suppress(NotFound, Conflict, Forbidden):
                await _take_protection_off(client, claim)


async def _take_protection_off(client: KubeClient, claim: dict[str, Any]) -> None:
    """Let a deleted claim go, although ended Pods that mounted it are kept for their logs."""
    metadata = claim["metadata"]
    finalizers = metadata.get("finalizers") or []
    if PROTECTION not in finalizers:
        return
    rest = [each for each in finalizers if each != PROTECTION]
    body = {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": rest or None,
        }
    }
    await client.merge_patch(CLAIMS, body, name=metadata["name"], namespace=metadata["namespace"])


async def _find(client: KubeClient, state: RunState, claim: str) -> dict[str, Any]:
    """The claim, if it is there and belongs to the run."""
    try:
        found = await client.get(CLAIMS, name=claim, namespace=state.identity.namespace)
    except NotFound:
        return {}
    labels = found["metadata"].get("labels") or {}
    return found if labels.get(names.LABEL_RUN_UID) == state.identity.uid else {}
