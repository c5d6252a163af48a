"""Which changes of a Pod are looked at at once, which later, and which not at all."""

from dataclasses import replace

import pytest

from gradient_operator.controllers import pod_news
from tests.builders import ended, make_pod, running, waiting

STARTING = make_pod(resource_version="1")
UPLOADING = make_pod(main=running(), has_uploader=True, uploader=running())


def changed(pod, **fields):
    return replace(pod, resource_version="2", **fields)


def pause(old, new, *, crowd=0):
    return pod_news.pause(old, new, crowd=crowd)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, STARTING),
        (STARTING, None),
        (STARTING, changed(STARTING, uid="another")),
        (STARTING, changed(STARTING, phase="Succeeded", main=ended(0))),
        (STARTING, changed(STARTING, phase="Failed", reason="Evicted")),
        (UPLOADING, changed(UPLOADING, main=ended(0))),
        (UPLOADING, changed(UPLOADING, uploader=ended(1))),
        (STARTING, changed(STARTING, fetch=ended(1))),
        (STARTING, changed(STARTING, deletion_at=50.0)),
        (STARTING, changed(STARTING, disruption="PreemptionByScheduler")),
        (STARTING, changed(STARTING, unheard=True)),
        (make_pod(node=""), changed(make_pod(node=""), unschedulable="no node has a GPU left")),
    ],
)
def test_what_decides_something_is_looked_at_at_once(old, new):
    assert pause(old, new, crowd=10_000) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (make_pod(node="", scheduled_at=None), changed(make_pod())),
        (STARTING, changed(STARTING, phase="Running", main=running())),
        (STARTING, changed(STARTING, main=waiting("ErrImagePull"))),
    ],
)
def test_what_is_only_shown_waits_longer_in_a_crowd(old, new):
    alone, among_many = pause(old, new), pause(old, new, crowd=50)
    assert 0 < alone < among_many < pause(old, new, crowd=100_000) == pod_news.LONGEST


def test_that_our_finalizer_came_off_is_no_reason_to_look():
    assert pause(STARTING, changed(STARTING, held=False)) is None
    assert pause(STARTING, changed(STARTING)) is None
