"""What the cluster did to a Pod: an end, or a refusal, that did not come from the job.

Read from the condition `DisruptionTarget` and from `status.reason`, which the scheduler, the
controllers and the kubelet write (Kubernetes 1.29 to 1.34), and from the deletion of the Pod.
"""

import re
from typing import Final

from gradient_operator.engine.model import ContainerRecord, Failure, FailureClass, PodRecord

_GONE: Final = frozenset({"DeletionByPodGC", "DeletionByTaintManager"})
"""Reasons of the condition `DisruptionTarget` after which nobody hears of the node any more."""
_NODE: Final = frozenset({"NodeLost", "Shutdown", "NodeShutdown", "Terminated"})
"""Reasons of a Pod whose node was lost or shut down; `Terminated` is the graceful shutdown's."""
_OWN_USE: Final = (
    "exceeds the total limit of containers",
    "exceeded its local ephemeral storage limit",
    "Usage of EmptyDir volume",
)
"""What the kubelet says when it evicts a Pod for more disk than the Pod itself was allowed."""
_OUTPUTS_LIMIT: Final = re.compile(
    r'Usage of EmptyDir volume "outputs" exceeds the limit "(?P<limit>[^"]+)"'
)
_REFUSED: Final = frozenset(
    {
        "AppArmor",
        "InvalidNodeInfo",
        "NodeAffinity",
        "NodeName",
        "NodePorts",
        "PodOSNotSupported",
        "PodOSSelectorNodeLabelDoesNotMatch",
        "SysctlForbidden",
        "TopologyAffinityError",
        "UnexpectedAdmissionError",
    }
)


def disruption(pod: PodRecord) -> Failure | None:
    """How the cluster ended this Pod; None: it did not."""
    outputs = _OUTPUTS_LIMIT.search(pod.message)
    if pod.reason == "Evicted" and outputs:
        text = (
            f"it wrote more than {outputs['limit']} under /outputs and was stopped: raise "
            "policy.outputsSize, or write less"
        )
        return Failure(FailureClass.USER, "OutputsTooLarge", text)
    if pod.reason == "Evicted" and any(text in pod.message for text in _OWN_USE):
        text = f"it wrote more to the node's disk than it may: {pod.message}"
        return Failure(FailureClass.USER, "EphemeralStorage", text)
    if pod.reason == "DeadlineExceeded":
        text = (
            f"its activeDeadlineSeconds ran out, which something in the cluster set: {_said(pod)}"
        )
        return Failure(FailureClass.TIMEOUT, "DeadlineExceeded", text)
    if pod.disruption == "PreemptionByScheduler":
        text = "a Pod of higher priority took its place"
        return Failure(FailureClass.PREEMPTED, "Preempted", text)
    if pod.reason == "Preempting":
        text = f"it made room on node {pod.node} for a critical Pod: {_said(pod)}"
        return Failure(FailureClass.PREEMPTED, "Preempted", text)
    if pod.disruption in _GONE or pod.reason in _NODE:
        text = f"node {pod.node} was lost: {_said(pod)}"
        return Failure(FailureClass.NODE_LOST, "NodeLost", text)
    if pod.reason == "Evicted" or pod.disruption in {
        "EvictionByEvictionAPI",
        "TerminationByKubelet",
    }:
        text = f"it was evicted from {pod.node}: {_said(pod)}"
        return Failure(FailureClass.EVICTED, "Evicted", text)
    return deleted(pod) if pod.deleting else None


def deleted(pod: PodRecord) -> Failure:
    """The failure of a Pod that somebody else deleted."""
    return Failure(FailureClass.DELETED, "PodDeleted", f"Pod {pod.name} was deleted")


def refused(pod: PodRecord) -> Failure:
    """The failure of a Pod that ended before its main ran: mostly the kubelet did not take it."""
    reason = pod.reason or "PodFailed"
    if reason in _REFUSED or reason.startswith("OutOf"):
        text = f"node {pod.node} did not take the Pod: {_said(pod)}"
    else:
        text = f"the Pod ended before the job ran: {_said(pod) or 'no reason was given'}"
    return Failure(FailureClass.NOT_STARTED, reason, text)


def lost(pod: PodRecord, container: ContainerRecord) -> Failure | None:
    """The failure of a container of which the kubelet lost track, as after a restart of its node.

    Its exit code (137) is made up.
    """
    if container.reason != "ContainerStatusUnknown":
        return None
    text = f"node {pod.node} lost track of the container: {container.message.strip()}"
    return Failure(FailureClass.NODE_LOST, "NodeLost", text)


def _said(pod: PodRecord) -> str:
    return pod.message or pod.disruption or pod.reason
