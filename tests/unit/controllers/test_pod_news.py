"""Which changes of a Pod are looked at at once, which later, and which not at all."""

from dataclasses import replace

import pytest

from gradient_operator.controllers.pod_news import LONGEST, PAUSE, RATE, PodNews
from tests.builders import ended, make_pod, running, waiting

STARTING = make_pod(resource_version="1")
UPLOADING = make_pod(main=running(), has_uploader=True, uploader=running())


def changed(pod, **fields):
    return replace(pod, resource_version="2", **fields)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def news(clock):
    return PodNews(clock)


RUNS = STARTING, changed(STARTING, phase="Running", main=running())


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
def test_what_decides_something_is_looked_at_at_once(news, old, new):
    for _ in range(1_000):
        news.pause(*RUNS, due=False)
    assert news.pause(old, new, due=True) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (make_pod(node="", scheduled_at=None), changed(make_pod())),
        (STARTING, changed(STARTING, phase="Running", main=running())),
        (STARTING, changed(STARTING, main=waiting("ErrImagePull"))),
    ],
)
def test_what_is_only_shown_waits_a_moment_for_what_comes_next(news, old, new):
    assert news.pause(old, new, due=False) == pytest.approx(PAUSE)
    assert news.pause(old, new, due=True) is None


def test_in_a_crowd_it_waits_longer_but_never_for_long(news, clock):
    pauses = [news.pause(*RUNS, due=False) for _ in range(2_000)]
    assert pauses[20] == pytest.approx(PAUSE + 20 / RATE)
    assert pauses[-1] == pytest.approx(LONGEST)
    clock.now += LONGEST
    assert news.pause(*RUNS, due=False) == pytest.approx(PAUSE)


def test_that_our_finalizer_came_off_is_no_reason_to_look(news):
    assert news.pause(STARTING, changed(STARTING, held=False), due=False) is None
    assert news.pause(STARTING, changed(STARTING), due=False) is None
