"""Which Pods run in vain."""

import pytest

from gradient_operator.engine.actions import DeletePod
from gradient_operator.engine.leftovers import stop, superseded
from gradient_operator.engine.model import JobPhase, JobRecord
from tests.builders import ended, failed_pod, make_pod, running, succeeded_pod

P = JobPhase


@pytest.mark.parametrize(
    ("record", "over"),
    [
        (JobRecord(), False),
        (JobRecord(phase=P.RUNNING, attempt=2), False),
        (JobRecord(phase=P.PENDING, attempt=1), False),
        (JobRecord(phase=P.PENDING, attempt=2), True),
        (JobRecord(phase=P.RUNNING, attempt=3), True),
        (JobRecord(phase=P.CANCELLED), True),
        (JobRecord(phase=P.FAILED, attempt=2), True),
    ],
    ids=[
        "unknown to the ledger yet",
        "the present one",
        "the next one, created before a crash",
        "failed and to be tried again",
        "an earlier one",
        "cancelled before it was seen",
        "the last one",
    ],
)
def test_an_attempt_is_over_when_the_ledger_says_so(record, over):
    assert superseded(make_pod(attempt=2), record) is over


@pytest.mark.parametrize(
    "pod",
    [
        make_pod(node=""),
        make_pod(main=running()),
        make_pod(fetch=running()),
        make_pod(main=running(), deletion_at=3_600.0, deletion_grace=3_600),
    ],
    ids=["not on a node", "running", "fetching", "deleted with all the time of the world"],
)
def test_a_pod_that_may_run_is_deleted(pod):
    assert stop([pod]) == [DeletePod(pod.name, pod.uid, 30)]


@pytest.mark.parametrize(
    "pod",
    [
        succeeded_pod(),
        failed_pod(),
        make_pod(main=ended(1), has_uploader=True, uploader=running()),
        make_pod(fetch=ended(66)),
        make_pod(main=running(), deletion_at=30.0, deletion_grace=30),
        make_pod(main=running(), deletion_at=0.0, deletion_grace=0),
    ],
    ids=["succeeded", "failed", "uploading", "fetch failed", "being deleted", "deleted at once"],
)
def test_a_pod_that_ends_by_itself_keeps_its_logs(pod):
    assert stop([pod]) == []


def test_a_grace_period_may_be_shortened_later_and_is_never_prolonged():
    pod = make_pod(main=running(), deletion_at=700.0, deletion_grace=600)
    assert stop([pod], 600) == []
    assert stop([pod], 900) == []
    assert stop([pod], 5) == [DeletePod(pod.name, pod.uid, 5)]
