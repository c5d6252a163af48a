"""Where the claims of a job hold it, and what becomes of it there."""

from gradient_operator.engine.model import JobPhase, JobRecord, VolumeRecord
from gradient_operator.engine.planner import plan
from tests.builders import done_job, make_observation, make_pod, make_workflow, running

CORDONED = "0/2 nodes are available: 2 node(s) were unschedulable."
AT_WORK = JobRecord(phase=JobPhase.RUNNING, attempt=1, node="gpu-1", pod="p", pod_uid="u-a")
LATER = 100_000.0


def shared(mode="ReadWriteOnce"):
    """Three users of one volume, two of them side by side."""
    builder = make_workflow().job("a").makes("v", "volume")
    for name in ("b", "c"):
        builder.job(name).needs("a").takes("v", "a.outputs.v")
    claim = None if mode == "Copy" else "run-a.v"
    return builder.compile(), {
        "volumes": {"a.v": VolumeRecord(mode, "because", claim)},
        "claim_users": {} if claim is None else {claim: ("a", "b", "c")},
    }


def waits(*, mode="ReadWriteOnce", b=None, now=LATER, node="gpu-1", c=None):
    """What is planned for `c` while its Pod waits for a node; `a` has ended."""
    workflow, volumes = shared(mode)
    made = done_job(node=node, finished_at=5.0)
    ledger = {"a": made, "b": b or made, "c": c or JobRecord()}
    pods = [make_pod("c", node="", unschedulable=CORDONED)]
    if b is not None:
        pods.append(make_pod("b", node="gpu-1", main=running()))
    return plan(make_observation(workflow, *pods, ledger=ledger, **volumes), now)


def test_the_node_where_others_have_used_the_volume_is_named():
    found = waits(now=10.0).ledger["c"]
    assert found.reason == "NodeUnavailable"
    assert "kubectl uncordon gpu-1" in found.message
    assert found.node is None, "it has never run there"


def test_it_is_given_up_in_the_same_words_after_an_hour():
    found = waits()
    record = found.ledger["c"]
    assert (record.phase, record.reason) == (JobPhase.FAILED, "NodeUnavailable")
    assert "kubectl uncordon gpu-1" in record.message
    assert [type(action).__name__ for action in found.actions] == ["DeletePod"]


def test_it_waits_for_the_end_of_who_works_on_the_claim():
    assert waits(b=AT_WORK).ledger["c"].phase is JobPhase.STARTING


def test_a_job_that_was_evicted_remembers_its_node():
    again = JobRecord(attempt=1, phase=JobPhase.STARTING, node="gpu-1", pod="p", pod_uid="u")
    found = waits(now=10.0, node=None, c=again).ledger["c"]
    assert found.node == "gpu-1"
    assert "kubectl uncordon gpu-1" in found.message


def test_a_copy_holds_nobody():
    found = waits(mode="Copy").ledger["c"]
    assert (found.phase, found.reason) == (JobPhase.STARTING, "Unschedulable")
