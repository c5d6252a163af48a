"""What the cluster did to a Pod, by what scheduler, controllers and kubelet write."""

import pytest

from gradient_operator.engine.disruption import disruption, lost, refused
from gradient_operator.engine.model import FailureClass
from tests.builders import ended, failed_pod, make_pod, succeeded_pod

ENDS = {
    "preempted by the scheduler": (
        {"disruption": "PreemptionByScheduler", "deletion_at": 30.0},
        (FailureClass.PREEMPTED, "Preempted"),
    ),
    "preempted by the kubelet for a critical Pod": (
        {"disruption": "TerminationByKubelet", "reason": "Preempting", "message": "Preempted…"},
        (FailureClass.PREEMPTED, "Preempted"),
    ),
    "drained": (
        {"disruption": "EvictionByEvictionAPI", "deletion_at": 30.0},
        (FailureClass.EVICTED, "Evicted"),
    ),
    "the node lacks memory": (
        {
            "disruption": "TerminationByKubelet",
            "reason": "Evicted",
            "message": "The node was low on resource: memory.",
        },
        (FailureClass.EVICTED, "Evicted"),
    ),
    "the node shuts down in order": (
        {
            "disruption": "TerminationByKubelet",
            "reason": "Terminated",
            "message": "Pod was terminated in response to imminent node shutdown.",
        },
        (FailureClass.NODE_LOST, "NodeLost"),
    ),
    "the node shut down, as older kubelets say": (
        {"reason": "Shutdown", "message": "Node is shutting, evicting pods"},
        (FailureClass.NODE_LOST, "NodeLost"),
    ),
    "the node is tainted": (
        {"disruption": "DeletionByTaintManager", "deletion_at": 30.0},
        (FailureClass.NODE_LOST, "NodeLost"),
    ),
    "the node is no more": (
        {"disruption": "DeletionByPodGC", "deletion_at": 30.0},
        (FailureClass.NODE_LOST, "NodeLost"),
    ),
    "the node does not answer": ({"reason": "NodeLost"}, (FailureClass.NODE_LOST, "NodeLost")),
    "deleted by somebody": ({"deletion_at": 30.0}, (FailureClass.DELETED, "PodDeleted")),
    "it filled the node's disk beyond its own limit": (
        {
            "disruption": "TerminationByKubelet",
            "reason": "Evicted",
            "message": "Pod ephemeral local storage use exceeds the total limit of containers 1Gi.",
        },
        (FailureClass.USER, "EphemeralStorage"),
    ),
    "something set a deadline on the Pod": (
        {"reason": "DeadlineExceeded", "message": "Pod was active longer than specified deadline"},
        (FailureClass.TIMEOUT, "DeadlineExceeded"),
    ),
}


@pytest.mark.parametrize(("how", "failure"), ENDS.values(), ids=ENDS)
def test_an_end_by_the_cluster(how, failure):
    found = disruption(failed_pod(code=137, **how))
    assert (found.kind, found.reason) == failure
    assert "  " not in found.message
    assert not found.message.endswith(": ")


@pytest.mark.parametrize("pod", [succeeded_pod(), failed_pod(code=1), make_pod()])
def test_what_the_job_did_itself_is_no_disruption(pod):
    assert disruption(pod) is None


@pytest.mark.parametrize(
    "reason", ["OutOfcpu", "OutOfnvidia.com/gpu", "NodeAffinity", "UnexpectedAdmissionError"]
)
def test_a_node_that_does_not_take_a_pod_is_named(reason):
    found = refused(make_pod(phase="Failed", reason=reason, message="Not enough."))
    assert (found.kind, found.reason) == (FailureClass.NOT_STARTED, reason)
    assert found.message == "node cpu-1 did not take the Pod: Not enough."


def test_a_container_that_the_kubelet_lost_track_of_has_not_exited_by_itself():
    text = "The container could not be located when the pod was terminated"
    main = ended(137, reason="ContainerStatusUnknown", message=text)
    found = lost(failed_pod(main=main), main)
    assert (found.kind, found.reason) == (FailureClass.NODE_LOST, "NodeLost")
    assert text in found.message
    assert lost(failed_pod(), ended(137)) is None
