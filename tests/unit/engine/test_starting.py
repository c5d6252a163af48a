"""How long a Pod may take to start before its attempt is given up."""

import pytest

from gradient_operator.engine.model import FailureClass
from gradient_operator.engine.starting import limit
from gradient_operator.engine.waiting import Waiting
from tests.builders import make_pod


@pytest.mark.parametrize("reason", ["Scheduling", "Unschedulable", "Fetching", "ClaimUnbound"])
def test_an_ordinary_wait_has_no_limit(reason):
    assert limit(make_pod(), Waiting(reason, "a sentence")) is None


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ImagePullFailed", FailureClass.IMAGE_PULL),
        ("SecretMissing", FailureClass.NOT_STARTED),
        ("ContainerRefused", FailureClass.NOT_STARTED),
    ],
)
def test_what_blocks_a_machine_is_given_up_after_a_quarter_of_an_hour(reason, kind):
    found = limit(make_pod(), Waiting(reason, "a sentence", blocked=True))
    assert found.at == 2 + 900
    assert (found.failure.kind, found.failure.reason) == (kind, reason)
    assert found.failure.message == "a sentence"


def test_an_image_that_will_never_come_is_a_class_of_its_own():
    wait = Waiting("ImagePullFailed", "a sentence", blocked=True, final=True)
    found = limit(make_pod(), wait)
    assert (found.at, found.failure.kind) == (2 + 900, FailureClass.IMAGE)


@pytest.mark.parametrize(
    ("unschedulable", "seconds"),
    [
        ("1 node(s) had volume node affinity conflict", 300),
        ("1 Insufficient cpu, 2 node(s) had volume node affinity conflict", 3_600),
    ],
    ids=["the node cannot take it", "the node is full"],
)
def test_a_pod_held_to_a_node_is_given_up(unschedulable, seconds):
    pod = make_pod(node="", unschedulable=unschedulable)
    found = limit(pod, Waiting("VolumePinned", "a sentence", pinned=True))
    assert found.at == 1 + seconds
    assert found.failure.kind is FailureClass.DATA
