"""Projections: a Pod or run, as the API serves it, becomes the small record that is cached."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.api.times import parse_time
from gradient_operator.engine.model import ContainerRecord, PodRecord, RunPhase
from gradient_operator.pods.helpers import HELPER
from gradient_operator.workflow.group import group_of

MESSAGE_LIMIT = 4_096
"""Bytes of a container's message that are kept; the kubelet writes no more."""
_PHASES: Final = {phase.value: phase for phase in RunPhase}


def project_pod(pod: Mapping[str, Any]) -> PodRecord:
    """Reduce a Pod to what decisions need (about 1 KiB instead of 30)."""
    metadata, spec = pod["metadata"], pod.get("spec", {})
    status = pod.get("status", {})
    labels = metadata.get("labels", {})
    annotations = metadata.get("annotations", {})
    conditions = {item["type"]: item for item in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    disruption = conditions.get("DisruptionTarget", {})
    containers = _containers(status)
    attempt = labels.get(names.LABEL_ATTEMPT, "0")
    return PodRecord(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        run_uid=labels.get(names.LABEL_RUN_UID, ""),
        run=annotations.get(f"{names.GROUP}/run", ""),
        job=annotations.get(f"{names.GROUP}/job", ""),
        machine=sys.intern(annotations.get(names.LABEL_INSTANCE_TYPE, "")),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", "")[:MESSAGE_LIMIT],
        node=spec.get("nodeName", ""),
        created_at=parse_time(metadata.get("creationTimestamp")),
        scheduled_at=(
            parse_time(scheduled.get("lastTransitionTime"))
            if scheduled.get("status") == "True"
            else None
        ),
        unschedulable=(
            scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else ""
        ),
        disruption=disruption.get("reason", "") if disruption.get("status") == "True" else "",
        disrupted_at=(
            parse_time(disruption.get("lastTransitionTime"))
            if disruption.get("status") == "True"
            else None
        ),
        unheard=_unheard(conditions),
        deletion_at=parse_time(metadata.get("deletionTimestamp")),
        deletion_grace=metadata.get("deletionGracePeriodSeconds", 0),
        held=names.FINALIZER_RESULT in metadata.get("finalizers", ()),
        other_finalizers=tuple(
            item for item in metadata.get("finalizers", ()) if item != names.FINALIZER_RESULT
        ),
        has_uploader=any(
            item["name"] == names.CONTAINER_UPLOADER for item in spec.get("initContainers", ())
        ),
        has_action=any(
            item.get("command", [""])[:1] == [HELPER] for item in spec.get("containers", ())
        ),
        main=containers.get(names.CONTAINER_MAIN),
        fetch=containers.get(names.CONTAINER_FETCH),
        uploader=containers.get(names.CONTAINER_UPLOADER),
    )


def _unheard(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the cluster says of a Pod whose containers are ready that it is not.

    The node lifecycle controller does so when a node stops reporting; the kubelet takes it back.
    """
    ready, containers = conditions.get("Ready", {}), conditions.get("ContainersReady", {})
    return ready.get("status") == "False" and containers.get("status") == "True"


def _containers(status: Mapping[str, Any]) -> dict[str, ContainerRecord]:
    listed = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return {
        # Thousands of Pods run the same few images.
        item["name"]: _container(item.get("state", {}), sys.intern(item.get("imageID", "")))
        for item in listed
    }


def _container(state: Mapping[str, Any], image_id: str) -> ContainerRecord:
    if "terminated" in state:
        ended = state["terminated"]
        return ContainerRecord(
            started_at=parse_time(ended.get("startedAt")),
            finished_at=parse_time(ended.get("finishedAt")),
            exit_code=ended.get("exitCode", 0),
            reason=ended.get("reason", ""),
            message=ended.get("message", "")[-MESSAGE_LIMIT:],
            image_id=image_id,
        )
    if "running" in state:
        return ContainerRecord(
            started_at=parse_time(state["running"].get("startedAt")), image_id=image_id
        )
    waiting = state.get("waiting", {})
    return ContainerRecord(
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", "")[:MESSAGE_LIMIT],
    )


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it is cached; a finished one is small. Equal views need no new look at the run."""

    uid: str
    namespace: str
    name: str
    resource_version: str = field(compare=False)
    generation: int = 0
    workflow: str = ""
    workflow_uid: str = ""
    cancel: bool = False
    cancel_grace: int | None = None
    """Seconds, if the one who cancelled it named some."""
    suspended: bool = False
    priority: int = 0
    """As `policy` asks for it."""
    group: str = ""
    """The name of its concurrency group; empty without one."""
    cancel_in_progress: bool = False
    deleting: bool = False
    held: bool = False
    other_finalizers: tuple[str, ...] = ()
    phase: RunPhase | None = None
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False)
    status: Mapping[str, Any] = field(default_factory=dict, compare=False)
    created_at: float | None = None
    finished_at: float | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    """Of an ended run with `policy.reuse`: its jobs that succeeded, by their keys."""
    unarchived: bool = field(default=False, compare=False)
    """Whether it has ended, belongs into the archive, and does not say that it is there."""

    @property
    def final(self) -> bool:
        """Whether its status says that it has ended."""
        return self.phase is not None and self.phase.final


def _priority(spec: Mapping[str, Any]) -> int:
    priority = (spec.get("policy") or {}).get("priority", 0)
    return priority if isinstance(priority, int) else 0


def project_run(run: Mapping[str, Any]) -> RunView:
    """Reduce a run; spec and status are kept only while it is under way."""
    metadata, spec, status = run["metadata"], run.get("spec", {}), run.get("status", {})
    phase = _PHASES.get(status.get("phase", ""))
    ended = phase is not None and phase.final
    group = group_of(spec)
    owner: Mapping[str, Any] = next(
        (
            item
            for item in metadata.get("ownerReferences", ())
            if item.get("kind") == "GradientWorkflow"
        ),
        {},
    )
    return RunView(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        workflow=spec.get("workflow", ""),
        workflow_uid=owner.get("uid", ""),
        cancel=bool(spec.get("cancel", False)),
        cancel_grace=spec.get("cancelGraceSeconds"),
        suspended=bool(spec.get("suspend", False)),
        priority=_priority(spec),
        group=group.name if group is not None else "",
        cancel_in_progress=group is not None and group.cancel_in_progress,
        deleting="deletionTimestamp" in metadata,
        held=names.FINALIZER_STOP in metadata.get("finalizers", ()),
        other_finalizers=tuple(
            item for item in metadata.get("finalizers", ()) if item != names.FINALIZER_STOP
        ),
        phase=phase,
        spec={} if ended else spec,
        status={} if ended else status,
        created_at=parse_time(metadata.get("creationTimestamp")),
        finished_at=parse_time(status.get("finishedAt")) if ended else None,
        results=_results(status) if ended and _reuses(spec) else {},
        unarchived=ended and not keeps_data_elsewhere(spec) and not _is_archived(status),
    )


def keeps_data_elsewhere(spec: Mapping[str, Any]) -> bool:
    """Whether a run keeps its data at a provider of its namespace: nothing of it is archived."""
    policy = spec.get("policy") or {}
    return bool((policy.get("datasets") or {}).get("provider"))


def _is_archived(status: Mapping[str, Any]) -> bool:
    return any(
        item.get("type") == "Archived" and item.get("status") == "True"
        for item in status.get("conditions") or ()
    )


def _results(status: Mapping[str, Any]) -> dict[str, str]:
    """The jobs of a run that succeeded, by the keys of their results."""
    return {
        job["key"]: name
        for name, job in (status.get("jobs") or {}).items()
        if "key" in job and job.get("phase") == "Succeeded"
    }


def _reuses(spec: Mapping[str, Any]) -> bool:
    """Whether a run's policy asks for it anywhere: without that no status is looked through."""
    policy = spec.get("policy") or {}
    jobs = policy.get("jobs") or {}
    return bool(policy.get("reuse")) or any((job or {}).get("reuse") for job in jobs.values())
