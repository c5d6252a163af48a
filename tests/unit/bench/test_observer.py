import asyncio

import pytest

from gradient_operator.kube.client import ListResult
from tests.bench.engines import JOB, RUN
from tests.bench.model import BenchError
from tests.bench.observer import Observer


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


class FakeApi:
    """Serves a list and then one watch after the other, each a list of events."""

    def __init__(self, *watches, left=()):
        self.watches = list(watches)
        self.left = list(left)
        self.asked = []

    async def list_all(self, resource, *, namespace):
        return ListResult(self.left, "10")

    async def watch(self, resource, *, namespace, resource_version):
        self.asked.append(resource_version)
        if not self.watches:
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            yield event


def pod(name, phase="Pending", *, run="run-1", job="A", version="11"):
    return {
        "metadata": {"name": name, "annotations": {RUN: run, JOB: job}, "resourceVersion": version},
        "status": {"phase": phase},
    }


def run(name, phase=None, **more):
    return {"metadata": {"name": name, "resourceVersion": "1"}, "status": {"phase": phase, **more}}


def observer(api=None):
    clock = Clock()
    return Observer(api or FakeApi(), "bench", clock=clock), clock


def test_pod_is_stamped_when_first_seen_and_when_first_seen_finished():
    seen, clock = observer()
    for time, phase in enumerate(["Pending", "Running", "Succeeded", "Succeeded"]):
        clock.time = float(time)
        seen.see_pod(pod("one", phase))
    assert seen.jobs["run-1", "A"].created == 0.0
    assert seen.jobs["run-1", "A"].finished == 2.0
    assert seen.finished_pods == 1


def test_pod_is_released_when_it_has_finished_and_nothing_holds_it():
    seen, _ = observer()
    held = pod("one", "Succeeded")
    held["metadata"]["finalizers"] = ["gradient.run/result"]
    seen.see_pod(pod("one", "Running"))
    seen.see_pod(held)
    assert seen.released_pods == 0
    for _again in range(2):
        seen.see_pod(pod("one", "Succeeded"))
    assert seen.released_pods == 1


def test_second_pod_of_a_job_counts_as_a_pod():
    seen, _ = observer()
    seen.see_pod(pod("one"))
    seen.see_pod(pod("two"))
    assert len(seen.pods) == 2
    assert len(seen.jobs) == 1


def test_failed_pod_ends_the_bench():
    seen, _ = observer()
    with pytest.raises(BenchError, match="Pod one failed"):
        seen.see_pod(pod("one", "Failed"))


def test_run_that_fails_ends_the_bench_with_its_message():
    seen, _ = observer()
    with pytest.raises(BenchError, match="run-1 ended as Failed: no such machine"):
        seen.see_run(run("run-1", "Failed", message="no such machine"))


def test_writes_and_bytes_of_a_run_are_those_after_its_creation():
    seen, clock = observer()
    seen.see_run(run("run-1"))
    first = seen.runs["run-1"].size
    clock.time = 2.0
    seen.see_run(run("run-1", "Running"))
    second = seen.runs["run-1"].size
    clock.time = 3.0
    seen.see_run(run("run-1", "Succeeded", jobs={"A": {"phase": "Succeeded"}}))
    found = seen.runs["run-1"]
    assert first < second < found.size
    assert found.writes == 2
    assert found.stored == second + found.size
    assert found.ended == 3.0
    assert seen.ended_runs == 1


async def test_waiting_ends_with_the_event_that_is_waited_for():
    api = FakeApi([{"type": "ADDED", "object": pod("one", "Succeeded")}])
    seen, _ = observer(api)
    await seen.begin()
    watching = asyncio.create_task(seen.follow_pods())
    async with asyncio.timeout(5):
        await seen.until_finished(1)
        await seen.until_job_finished("run-1", "A")
    watching.cancel()


async def test_watch_that_the_server_ended_goes_on_where_it_was():
    api = FakeApi(
        [{"type": "ADDED", "object": pod("one", version="11")}],
        [
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "15"}}},
        ],
        [{"type": "MODIFIED", "object": pod("one", "Succeeded", version="16")}],
    )
    seen, _ = observer(api)
    await seen.begin()
    watching = asyncio.create_task(seen.follow_pods())
    async with asyncio.timeout(5):
        await seen.until_finished(1)
    watching.cancel()
    assert api.asked[:3] == ["10", "11", "15"]
    assert seen.interruptions >= 2


async def test_leftovers_of_an_earlier_load_are_refused():
    seen, _ = observer(FakeApi(left=[pod("old")]))
    with pytest.raises(BenchError, match="1 pods are left"):
        await seen.begin()
