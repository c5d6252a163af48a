"""How long a Pod may take to start before its attempt is given up."""

import pytest

from gradient_operator.engine.holding import Hold
from gradient_operator.engine.model import FailureClass
from gradient_operator.engine.starting import limit
from gradient_operator.engine.waiting import Waiting
from tests.builders import make_pod


@pytest.mark.parametrize("reason", ["Scheduling", "Unschedulable", "Fetching", "ClaimUnbound"])
def test_an_ordinary_wait_has_no_limit(reason):
    assert limit(make_pod(), Waiting(reason, "a sentence"), Hold()) is None


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ImagePullFailed", FailureClass.IMAGE_PULL),
        ("SecretMissing", FailureClass.NOT_STARTED),
        ("ContainerRefused", FailureClass.NOT_STARTED),
    ],
)
def test_what_blocks_a_machine_is_given_up_after_a_quarter_of_an_hour(reason, kind):
    found = limit(make_pod(), Waiting(reason, "a sentence", blocked=True), Hold())
    assert found.at == 2 + 900
    assert (found.failure.kind, found.failure.reason) == (kind, reason)
    assert found.failure.message == "a sentence"


def test_an_image_that_will_never_come_is_a_class_of_its_own():
    wait = Waiting("ImagePullFailed", "a sentence", blocked=True, final=True)
    found = limit(make_pod(), wait, Hold())
    assert (found.at, found.failure.kind) == (2 + 900, FailureClass.IMAGE)


PINNED = {
    "the node cannot take it": ("VolumePinned", "1 node(s) had volume node affinity conflict", 300),
    "the node is full": (
        "VolumePinned",
        "1 Insufficient cpu, 2 node(s) had volume node affinity conflict",
        3_600,
    ),
    "the node is cordoned": ("NodeUnavailable", "1 node(s) were unschedulable", 3_600),
}


@pytest.mark.parametrize(("reason", "unschedulable", "seconds"), PINNED.values(), ids=PINNED)
class TestHeld:
    """A Pod that a claim holds to a node."""

    def limit(self, reason, unschedulable, **hold):
        pod = make_pod(node="", unschedulable=unschedulable)
        return limit(pod, Waiting(reason, "a sentence", pinned=True), Hold("cpu-1", **hold))

    def test_it_is_given_up(self, reason, unschedulable, seconds):
        found = self.limit(reason, unschedulable)
        assert found.at == 1 + seconds
        assert (found.failure.kind, found.failure.reason) == (FailureClass.DATA, reason)
        assert found.failure.message == "a sentence"

    def test_it_is_not_while_another_user_works_there(self, reason, unschedulable, seconds):
        assert self.limit(reason, unschedulable, busy=True) is None

    def test_its_time_begins_when_the_other_user_has_ended(self, reason, unschedulable, seconds):
        assert self.limit(reason, unschedulable, free_since=500.0).at == 500 + seconds
