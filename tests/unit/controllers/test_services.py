"""The index of Pods by run follows every change, and forgets what is gone."""

from dataclasses import replace

import pytest

from gradient_operator.controllers.services import PodIndex
from tests.builders import make_pod


def test_a_pod_is_found_by_its_run():
    index = PodIndex()
    pod = make_pod()
    assert index.update(None, pod) == ("ns", "run")
    assert index.of("ns", "run") == {pod.name: pod}
    assert index.of("ns", "other") == index.of("other", "run") == {}


def test_a_change_replaces_what_was_known():
    index, pod = PodIndex(), make_pod()
    later = replace(pod, phase="Running")
    index.update(None, pod)
    index.update(pod, later)
    assert index.of("ns", "run") == {pod.name: later}


def test_a_run_without_pods_leaves_no_trace():
    index, pod = PodIndex(), make_pod()
    index.update(None, pod)
    assert index.update(pod, None) == ("ns", "run")
    assert index.by_run == {}


def test_what_was_never_there_can_go():
    index = PodIndex()
    index.update(make_pod(), None)
    assert index.by_run == {}


def test_a_pod_whose_run_somebody_rewrote_moves():
    index, pod = PodIndex(), make_pod()
    moved = replace(pod, run="other")
    index.update(None, pod)
    assert index.update(pod, moved) == ("ns", "other")
    assert index.of("ns", "run") == {}
    assert index.of("ns", "other") == {pod.name: moved}


def test_a_change_of_nothing_is_a_fault():
    with pytest.raises(ValueError, match="before or after"):
        PodIndex().update(None, None)
