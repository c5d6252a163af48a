"""Reads what `gradient why` rests on besides the run itself: Pods, Events, who else holds what.

Few requests, and only those that the run's state calls for. What the account may not read is left
out: the rest of the answer is still worth having.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import (
    CONTAINER_MAIN,
    GROUP,
    LABEL_MANAGED_BY,
    LABEL_RUN_UID,
    MANAGER,
)
from gradient_operator.cli.output.run_view import run_view
from gradient_operator.kube.errors import Forbidden, KubeError, NotFound
from gradient_operator.kube.resources import CORE_EVENTS, PODS, RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradient_operator.cli.cluster import Cluster

Object = dict[str, Any]

ASKED: Final = 3
"""Pods whose Events are read, those that wait longest first: mostly all have one reason."""
LAST_LINES: Final = 10
_FINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
_HOLDER: Final = re.compile(r"\bwaits for run ([a-z0-9][-.a-z0-9]*)")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read; all of it may be empty."""

    pods: Mapping[str, Object] = field(default_factory=dict)
    """The run's Pods by name."""
    events: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    """Events of Pods and claims that wait, oldest first, by the name of the object."""
    others: Sequence[Object] = ()
    """Pods of other runs that have not ended, if they may hold what this run waits for."""
    holder: Object | None = None
    """The run whose turn it is in the concurrency group."""
    log: Sequence[str] = ()
    """The last lines of the job that failed first, from its Pod."""


async def gather(cluster: Cluster, run: Object) -> Facts:
    """Read what the run's state calls for."""
    status = run.get("status") or {}
    if status.get("phase") in _FINAL:
        failed = run_view(run).failed
        return Facts(log=await _log(cluster, failed[0].pod) if failed else ())
    held = _HOLDER.search(status.get("message") or "")
    if held is not None:
        return Facts(holder=await _get_run(cluster, held[1]))
    jobs = status.get("jobs") or {}
    reasons = {job.get("reason") for job in jobs.values() if job.get("reason")}
    pods = await _pods(cluster, f"{LABEL_RUN_UID}={run['metadata']['uid']}")
    starting = [pod for pod in pods if _is_starting(pod)]
    events = {}
    for pod in sorted(starting, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))[:ASKED]:
        metadata = pod["metadata"]
        events[metadata["name"]] = await _events(cluster, f"involvedObject.uid={metadata['uid']}")
    if "ClaimUnbound" in reasons:
        for claim in _claims(status)[:ASKED]:
            selector = f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={claim}"
            events[claim] = await _events(cluster, selector)
    others: list[Object] = []
    if reasons & {"GPUBusy", "QuotaExceeded"}:
        others = await _others(cluster, run, everywhere="GPUBusy" in reasons)
    return Facts(pods={pod["metadata"]["name"]: pod for pod in pods}, events=events, others=others)


def _is_starting(pod: Object) -> bool:
    status = pod.get("status") or {}
    main: Object = next(
        (
            item
            for item in status.get("containerStatuses") or ()
            if item.get("name") == CONTAINER_MAIN
        ),
        {},
    )
    return status.get("phase") == "Pending" and "waiting" in (main.get("state") or {"waiting": {}})


def _claims(status: Object) -> list[str]:
    claims = [volume.get("claim") for volume in (status.get("volumes") or {}).values()]
    return list(dict.fromkeys(claim for claim in claims if claim))


async def _pods(cluster: Cluster, selector: str) -> list[Object]:
    try:
        listed = await cluster.client.list_all(
            PODS, namespace=cluster.namespace, label_selector=selector
        )
    except Forbidden:
        return []
    return listed.items


async def _others(cluster: Cluster, run: Object, *, everywhere: bool) -> list[Object]:
    """The Pods of other runs that have not ended: of the cluster if that may be read."""
    selector = f"{LABEL_MANAGED_BY}={MANAGER},{LABEL_RUN_UID}"
    found: list[Object] = []
    if everywhere:
        try:
            listed = await cluster.client.list_all(PODS, namespace=None, label_selector=selector)
            found = listed.items
        except Forbidden:
            everywhere = False
    if not everywhere:
        found = await _pods(cluster, selector)
    uid = run["metadata"]["uid"]
    return [
        pod
        for pod in found
        if pod["metadata"]["labels"].get(LABEL_RUN_UID) != uid
        and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}
        and f"{GROUP}/run" in (pod["metadata"].get("annotations") or {})
    ]


async def _events(cluster: Cluster, selector: str) -> list[Object]:
    try:
        listed = await cluster.client.list_all(
            CORE_EVENTS, namespace=cluster.namespace, field_selector=selector
        )
    except Forbidden:
        return []
    return sorted(listed.items, key=event_time)


def event_time(event: Object) -> str:
    """When an Event was seen last, as the API server has it."""
    created = event["metadata"].get("creationTimestamp")
    return str(event.get("lastTimestamp") or event.get("eventTime") or created or "")


async def _get_run(cluster: Cluster, name: str) -> Object | None:
    try:
        return await cluster.client.get(RUNS, name=name, namespace=cluster.namespace)
    except (NotFound, Forbidden):
        return None


async def _log(cluster: Cluster, pod: str) -> list[str]:
    """The last lines of a failed job, while its Pod is there."""
    if not pod:
        return []
    try:
        return [
            line.decode(errors="replace")
            async for line in cluster.client.pod_logs(
                pod, namespace=cluster.namespace, container=CONTAINER_MAIN, tail_lines=LAST_LINES
            )
        ]
    except KubeError:
        return []
