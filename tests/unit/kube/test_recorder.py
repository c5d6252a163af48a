import asyncio
import contextlib

import pytest

from gradient_operator.kube import recorder as module
from gradient_operator.kube.recorder import EventLimits, EventRecorder, ObjectReference
from gradient_operator.kube.resources import EVENTS
from gradient_operator.observability.metrics import Metrics
from tests.unit.kube.faults import fails, resets

RUN = ObjectReference("gradient.run/v1alpha1", "GradientRun", "run-1", "ns", "uid-run")


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
async def recorder(client, metrics, now):
    made = EventRecorder(
        client, component="gradient.run/operator", instance="me", metrics=metrics,
        clock=lambda: now[0],
    )  # fmt: skip
    made._queue._first_delay = 0.001
    writing = asyncio.create_task(made.run())
    yield made
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing


def stored(api) -> list[dict]:
    return [item for (plural, _, _), item in api.objects.items() if plural == EVENTS.plural]


async def written(recorder: EventRecorder) -> None:
    """Wait until nothing is left to be written."""
    while recorder._queue.depth or recorder._queue._working or recorder._queue._delayed:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def dropped(metrics: Metrics) -> dict[str, float]:
    (family,) = metrics.events_dropped_total.collect()
    return {
        sample.labels["reason"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def test_an_event_has_everything_that_the_api_demands(api, recorder, metrics):
    recorder.record(RUN, type="Normal", reason="RunStarted", note="3 jobs")
    await api.seen("create")
    (event,) = stored(api)
    assert event["metadata"]["namespace"] == "ns"
    assert event["metadata"]["name"].startswith("run-1.")
    assert event["eventTime"].endswith("Z")
    assert event["regarding"] == {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientRun",
        "namespace": "ns",
        "name": "run-1",
        "uid": "uid-run",
    }
    assert event["reportingController"] == "gradient.run/operator"
    assert event["reportingInstance"] == "me"
    assert (event["type"], event["reason"], event["note"], event["action"]) == (
        "Normal",
        "RunStarted",
        "3 jobs",
        "Reconcile",
    )


async def test_an_event_about_something_of_the_cluster_goes_to_the_default_namespace(api, recorder):
    node = ObjectReference("v1", "Node", "n" * 253)
    recorder.record(node, type="Normal", reason="Seen", note="")
    await api.seen("create")
    (event,) = stored(api)
    assert event["metadata"]["namespace"] == "default"
    assert len(event["metadata"]["name"]) <= 253


async def test_a_repetition_becomes_a_series_of_the_same_event(api, recorder):
    recorder.record(RUN, type="Warning", reason="JobFailed", note="train: exit code 1")
    await api.seen("create")
    for _ in range(3):
        recorder.record(RUN, type="Warning", reason="JobFailed", note="train: exit code 1")
    await api.seen("patch")
    (event,) = stored(api)
    assert event["series"]["count"] == 4
    recorder.record(RUN, type="Warning", reason="JobFailed", note="eval: exit code 1")
    await api.seen("create", 2)
    assert len(stored(api)) == 2  # another note says something else


async def test_a_series_is_written_seldom_and_its_last_count_is_not_lost(
    api, recorder, monkeypatch
):
    monkeypatch.setattr(module, "SERIES_PAUSE", 0.05)
    recorder.record(RUN, type="Warning", reason="Waiting", note="for a GPU")
    await api.seen("create")
    recorder.record(RUN, type="Warning", reason="Waiting", note="for a GPU")
    await api.seen("patch")
    for _ in range(50):
        recorder.record(RUN, type="Warning", reason="Waiting", note="for a GPU")
        await asyncio.sleep(0)
    while stored(api)[0]["series"]["count"] < 52:
        await api.seen("patch", api.count("patch") + 1)
    assert api.count("patch") < 20


async def test_a_repetition_after_a_long_time_is_a_new_event(api, recorder, now):
    recorder.record(RUN, type="Normal", reason="Polled", note="")
    await api.seen("create")
    now[0] += module.SERIES_LIFE
    recorder.record(RUN, type="Normal", reason="Polled", note="")
    await api.seen("create", 2)


async def test_one_object_cannot_say_more_than_its_share(api, recorder, metrics, now):
    for number in range(40):
        recorder.record(RUN, type="Normal", reason="Job", note=str(number))
    assert dropped(metrics) == {"object_rate": 15}
    other = ObjectReference("v1", "Pod", "p", "ns")
    recorder.record(other, type="Normal", reason="Job", note="")
    now[0] += 5
    recorder.record(RUN, type="Normal", reason="Job", note="later")
    await api.seen("create", 27)
    assert dropped(metrics) == {"object_rate": 15}


async def test_what_goes_well_does_not_keep_a_warning_out(client, metrics):
    limits = EventLimits(burst=20, rate=0.1, normal_burst=10, normal_rate=0.1)
    made = EventRecorder(client, component="c", instance="i", metrics=metrics, limits=limits)
    pods = [ObjectReference("v1", "Pod", f"p{number}") for number in range(30)]
    for pod in pods:
        made.record(pod, type="Normal", reason="Job", note="")
    assert dropped(metrics) == {"rate": 20}
    for pod in pods[:10]:
        made.record(pod, type="Warning", reason="Job", note="")
    assert dropped(metrics) == {"rate": 20}


async def test_all_objects_together_cannot_say_more_than_the_limit(client, metrics):
    made = EventRecorder(
        client, component="c", instance="i", metrics=metrics, limits=EventLimits(burst=10, rate=0.1)
    )
    for number in range(30):
        made.record(
            ObjectReference("v1", "Pod", f"p{number}"), type="Normal", reason="Job", note=""
        )
    assert dropped(metrics) == {"rate": 20}


async def test_a_full_queue_drops_and_counts(client, metrics, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    made = EventRecorder(client, component="c", instance="i", metrics=metrics)
    for number in range(9):
        made.record(RUN, type="Normal", reason="Job", note=str(number))
    assert dropped(metrics) == {"queue_full": 4}


async def test_a_fault_of_the_server_is_tried_again_without_a_second_event(api, recorder, metrics):
    async def stored_but_lost(request):
        await api._serve(request)
        return await resets(request)

    api.next("create", fails(503), resets, stored_but_lost)
    recorder.record(RUN, type="Normal", reason="Job", note="")
    recorder.record(RUN, type="Normal", reason="Next", note="")
    while len(stored(api)) < 2:
        await api.seen("create", api.count("create") + 1)
    await written(recorder)
    assert sorted(event["reason"] for event in stored(api)) == ["Job", "Next"]
    assert dropped(metrics) == {}


@pytest.mark.parametrize(("fault", "times"), [(fails(403), 1), (fails(404), 1), (fails(500), 5)])
async def test_an_event_that_cannot_be_written_is_dropped_and_counted(
    api, recorder, metrics, fault, times
):
    api.next("create", *[fault] * times)
    recorder.record(RUN, type="Normal", reason="Job", note="")
    await api.seen("create", times)
    recorder.record(RUN, type="Normal", reason="Next", note="")
    await api.seen("create", times + 1)
    assert dropped(metrics) == {"refused": 1}
    assert [event["reason"] for event in stored(api)] == ["Next"]


async def test_a_series_whose_event_has_passed_away_is_written_anew(api, recorder):
    recorder.record(RUN, type="Normal", reason="Job", note="")
    await api.seen("create")
    await written(recorder)
    api.objects.clear()
    recorder.record(RUN, type="Normal", reason="Job", note="")
    await api.seen("create", 2)
    (event,) = stored(api)
    assert event["series"]["count"] == 2


async def test_a_long_note_is_cut_to_what_the_api_takes(api, recorder):
    recorder.record(RUN, type="Normal", reason="Job", note="ä" * 2_000)
    await api.seen("create")
    (event,) = stored(api)
    assert len(event["note"].encode()) <= 1_024
    assert event["note"].endswith("ä…")


async def test_memory_is_bounded(client, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 10)
    made = EventRecorder(client, component="c", instance="i")
    for number in range(50):
        made.record(
            ObjectReference("v1", "Pod", f"p{number}"), type="Normal", reason="Job", note=""
        )
    assert len(made._series) == 10
    assert len(made._buckets) == 10


async def test_recording_never_fails_though_nobody_listens(api, recorder, monkeypatch):
    await api.stop()
    refused = asyncio.Event()
    monkeypatch.setattr(recorder, "_drop", lambda _: refused.set())
    for number in range(3):
        recorder.record(RUN, type="Normal", reason="Job", note=str(number))
    for _ in range(3):
        await refused.wait()
        refused.clear()
