"""What collectors' Pods leave becomes metrics and status."""

import asyncio
import json

import pytest

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.collections import CollectionReports
from gradient_operator.controllers.services import Definitions, PodIndex, Services
from gradient_operator.datasets.collect import Report, Sum, as_dict
from gradient_operator.kube.client import ListResult
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.kube.resources import PODS, STORAGE_PROVIDERS
from gradient_operator.observability.metrics import Metrics
from tests.unit.controllers.memory_api import MemoryApi
from tests.waiting import eventually


class Api(MemoryApi):
    async def list_all(self, resource, **_):
        return ListResult(list(self.all(resource).values()), "1")


@pytest.fixture
def world():
    api = Api()
    services = Services(
        client=api,
        config=OperatorConfig(),
        metrics=Metrics(),
        recorder=EventRecorder(api, component="c", instance="i"),
        queue=KeyedQueue(),
        pods=PodIndex(),
        definitions=Definitions(),
        assume_pod=lambda pod: None,
        is_leader=lambda: True,
        clock=lambda: 1_000.0,
    )
    return api, CollectionReports(services, namespace=None), services.metrics


def pod(api, name, *, provider="default", message="", code=0, finished="2026-01-31T13:00:00Z"):
    ended = {"exitCode": code, "message": message, "finishedAt": finished}
    api.put(
        PODS,
        name,
        metadata={"labels": {"gradient.run/collector": provider}},
        status={"containerStatuses": [{"name": "collector", "state": {"terminated": ended}}]},
    )


def report(deleted):
    return json.dumps(as_dict(Report(versions=3, deleted=Sum(deleted, 1_000 * deleted))))


async def test_counts_and_bytes_of_the_newest_report_are_told(world):
    api, reports, metrics = world
    pod(api, "old", message=report(1), finished="2026-01-30T13:00:00Z")
    pod(api, "new", message=report(2))
    await reports.look()
    assert metrics.storage_objects.labels("ns", "default", "deleted")._value.get() == 2
    assert metrics.storage_bytes.labels("ns", "default", "deleted")._value.get() == 2_000
    assert metrics.storage_collection_failed.labels("ns", "default")._value.get() == 0
    assert api.writes == []


async def test_a_pod_that_ends_is_looked_at_and_until_then_nothing_is_asked(world):
    api, reports, metrics = world
    events, asked = asyncio.Queue(), []

    async def watch(_, *, resource_version, **__):
        asked.append(resource_version)
        while True:
            yield await events.get()

    api.watch = watch
    working = asyncio.create_task(reports.run())

    async def watched():
        assert not working.done()
        assert asked

    await eventually(watched, seconds=5, pause=0)
    running = {"metadata": {"uid": "u"}, "status": {"containerStatuses": [{"name": "collector"}]}}
    events.put_nowait({"type": "MODIFIED", "object": running})
    pod(api, "new", message=report(2))
    events.put_nowait({"type": "MODIFIED", "object": api.all(PODS)["new"]})
    deleted = metrics.storage_objects.labels("ns", "default", "deleted")

    async def taken_over():
        assert not working.done()
        assert deleted._value.get() == 2
        assert len(asked) >= 2

    await eventually(taken_over, seconds=5, pause=0)
    working.cancel()
    assert asked == ["1", "1"], "watched again once it was taken over, and not for what goes on"


async def test_a_providers_status_holds_its_report(world):
    api, reports, _ = world
    api.put(STORAGE_PROVIDERS, "ours", spec={})
    pod(api, "p", provider="ours", message=report(2))
    pod(api, "gone", provider="gone", message=report(1))
    await reports.look()
    await reports.look()
    status = api.all(STORAGE_PROVIDERS)["ours"]["status"]["collection"]
    assert status["finishedAt"] == "2026-01-31T13:00:00Z"
    assert status["deleted"] == {"objects": 2, "bytes": 2_000}
    assert len(api.writes) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [("", 0), ("no", 0), ("[]", 0), ("{}", 0), ('{"versions":-1}', 0), (report(1), 2)],
)
async def test_what_failed_or_cannot_be_read_counts_as_failed(world, message, code):
    api, reports, metrics = world
    pod(api, "p", message=message, code=code)
    api.put(PODS, "running", metadata={"labels": {"gradient.run/collector": "x"}}, status={})
    await reports.look()
    assert metrics.storage_collection_failed.labels("ns", "default")._value.get() == 1
