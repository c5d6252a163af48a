"""What a decision needs of a Pod or run, from the JSON that an API server sends."""

import pytest

from gradient_operator.controllers.records import MESSAGE_LIMIT, project_pod, project_run
from gradient_operator.engine.model import ContainerRecord, PodRecord, RunPhase

POD = {
    "metadata": {
        "name": "train-clone-1-abcdefgh",
        "namespace": "team",
        "uid": "pod-uid",
        "resourceVersion": "42",
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "labels": {
            "app.kubernetes.io/managed-by": "gradient-operator",
            "gradient.run/run": "train-x",
            "gradient.run/run-uid": "run-uid",
            "gradient.run/job": "clone",
            "gradient.run/attempt": "2",
        },
        "annotations": {"gradient.run/job": "clone", "gradient.run/run": "train-x"},
        "finalizers": ["gradient.run/result", "example.org/other"],
        "managedFields": [{"manager": "kubelet"}],
    },
    "spec": {
        "nodeName": "cpu-1",
        "initContainers": [{"name": "fetch"}, {"name": "uploader", "restartPolicy": "Always"}],
        "containers": [{"name": "main"}],
    },
    "status": {
        "phase": "Running",
        "conditions": [
            {"type": "PodReadyToStartContainers", "status": "True"},
            {
                "type": "PodScheduled",
                "status": "True",
                "lastTransitionTime": "2026-01-31T12:00:01Z",
            },
        ],
        "containerStatuses": [
            {
                "name": "main",
                "state": {
                    "terminated": {
                        "exitCode": 137,
                        "reason": "OOMKilled",
                        "message": "last words",
                        "startedAt": "2026-01-31T12:00:05Z",
                        "finishedAt": "2026-01-31T12:00:09Z",
                        "containerID": "containerd://c",
                    }
                },
                "lastState": {},
                "restartCount": 0,
            }
        ],
        "initContainerStatuses": [
            {
                "name": "fetch",
                "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}},
            },
            {"name": "uploader", "state": {"running": {"startedAt": "2026-01-31T12:00:04Z"}}},
        ],
    },
}
NOON = 1_769_860_800.0


def test_a_pod_is_reduced_to_what_decisions_need():
    assert project_pod(POD) == PodRecord(
        uid="pod-uid",
        namespace="team",
        name="train-clone-1-abcdefgh",
        resource_version="42",
        run_uid="run-uid",
        run="train-x",
        job="clone",
        attempt=2,
        phase="Running",
        node="cpu-1",
        created_at=NOON,
        scheduled_at=NOON + 1,
        held=True,
        other_finalizers=("example.org/other",),
        has_uploader=True,
        main=ContainerRecord(
            started_at=NOON + 5,
            finished_at=NOON + 9,
            exit_code=137,
            reason="OOMKilled",
            message="last words",
        ),
        fetch=ContainerRecord(waiting_reason="ErrImagePull", waiting_message="no such image"),
        uploader=ContainerRecord(started_at=NOON + 4),
    )


def bare(**status):
    """A Pod as it is right after its creation."""
    metadata = {"name": "p", "namespace": "ns", "uid": "u"}
    return {"metadata": metadata, "spec": {}, "status": status}


def test_a_pod_that_says_nothing_yet_can_be_read():
    record = project_pod(bare())
    assert (record.phase, record.node, record.main, record.attempt) == ("Pending", "", None, 0)


def test_why_a_pod_has_no_node():
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
        "lastTransitionTime": "2026-01-31T12:00:01Z",
    }
    record = project_pod(bare(conditions=[condition]))
    assert (record.unschedulable, record.scheduled_at) == ("0/1 nodes are available", None)


def test_a_pod_held_back_by_a_gate_is_not_called_unschedulable():
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    assert project_pod(bare(conditions=[condition])).unschedulable == ""


@pytest.mark.parametrize(("status", "reason"), [("True", "DeletionByPodGC"), ("False", "")])
def test_a_disruption_counts_while_it_is_true(status, reason):
    condition = {"type": "DisruptionTarget", "status": status, "reason": "DeletionByPodGC"}
    assert project_pod(bare(conditions=[condition])).disruption == reason


def test_a_disruption_has_its_time():
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationByKubelet",
        "lastTransitionTime": "2026-01-31T12:00:05Z",
    }
    assert project_pod(bare(conditions=[condition])).disrupted_at == NOON + 5


@pytest.mark.parametrize(
    ("ready", "containers", "unheard"),
    [("True", "True", False), ("False", "False", False), ("False", "True", True)],
    ids=["runs", "main has ended", "its node stopped reporting"],
)
def test_a_pod_whose_node_stopped_reporting_is_unheard(ready, containers, unheard):
    conditions = [
        {"type": "Ready", "status": ready},
        {"type": "ContainersReady", "status": containers},
    ]
    assert project_pod(bare(conditions=conditions)).unheard is unheard


def test_an_eviction_has_reason_and_message():
    record = project_pod(bare(phase="Failed", reason="Evicted", message="disk"))
    assert (record.phase, record.reason, record.message) == ("Failed", "Evicted", "disk")


def test_a_deletion_has_its_time_and_grace():
    pod = bare()
    pod["metadata"] |= {
        "deletionTimestamp": "2026-01-31T12:00:30Z",
        "deletionGracePeriodSeconds": 30,
    }
    record = project_pod(pod)
    assert (record.deleting, record.deletion_at, record.deletion_grace) == (True, NOON + 30, 30)


def test_of_a_long_message_the_end_is_kept():
    ended = {"exitCode": 1, "message": "x" * 9_000 + "the end"}
    pod = bare(containerStatuses=[{"name": "main", "state": {"terminated": ended}}])
    message = project_pod(pod).main.message
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("the end")


@pytest.mark.parametrize("attempt", ["", "x", "-1", "1.5"])
def test_a_label_that_somebody_spoilt_is_no_attempt(attempt):
    pod = bare()
    pod["metadata"]["labels"] = {"gradient.run/attempt": attempt}
    assert project_pod(pod).attempt == 0


RUN = {
    "metadata": {
        "name": "train-x",
        "namespace": "team",
        "uid": "run-uid",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "ownerReferences": [
            {"kind": "Other", "uid": "no"},
            {"kind": "GradientWorkflow", "name": "train", "uid": "workflow-uid"},
        ],
    },
    "spec": {"workflow": "train", "definition": {"jobs": {}}},
    "status": {"phase": "Running", "jobs": {"a": {}}},
}


def test_a_run_under_way_keeps_spec_and_status():
    view = project_run(RUN)
    assert (view.phase, view.workflow, view.workflow_uid) == (
        RunPhase.RUNNING,
        "train",
        "workflow-uid",
    )
    assert (view.spec, view.status) == (RUN["spec"], RUN["status"])
    assert not view.final


def test_a_run_that_has_ended_keeps_neither():
    view = project_run({**RUN, "status": {"phase": "Failed", "jobs": {"a": {}}}})
    assert (view.final, dict(view.spec), dict(view.status)) == (True, {}, {})


def test_a_new_run_has_no_phase():
    run = {key: value for key, value in RUN.items() if key != "status"}
    assert project_run(run).phase is None


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        ({"status": {"phase": "Running", "progress": "1/2"}}, False),
        ({"status": {"phase": "Succeeded"}}, True),
        ({"spec": {**RUN["spec"], "cancel": True}}, True),
        ({"metadata": {**RUN["metadata"], "resourceVersion": "8"}}, False),
        ({"metadata": {**RUN["metadata"], "deletionTimestamp": "2026-01-31T12:00:00Z"}}, True),
    ],
    ids=["our own write", "its end", "a cancel", "nothing visible", "its deletion"],
)
def test_only_what_calls_for_a_look_makes_a_difference(change, noticed):
    assert (project_run({**RUN, **change}) != project_run(RUN)) is noticed


def test_an_action_is_known_by_its_program():
    helper = {"name": "main", "command": ["/app/.venv/bin/gradient-helper", "git-checkout"]}
    assert project_pod({**POD, "spec": {"containers": [helper]}}).has_action
    assert not project_pod(POD).has_action
