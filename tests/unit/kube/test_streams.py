"""Watches and logs."""

import asyncio
import json

import pytest

from gradient_operator.kube.errors import Gone, Unreachable
from gradient_operator.kube.resources import RUNS
from tests.unit.kube.faults import fails, streams
from tests.unit.kube.faulty_api import quick


async def collect(events) -> list[dict]:
    return [event async for event in events]


async def test_events_are_put_together_however_the_bytes_fall(client, api):
    lines = b"".join(
        json.dumps({"type": "ADDED", "object": {"name": name}}, ensure_ascii=False).encode() + b"\n"
        for name in ("ä", "ö" * 300, "ü")
    )
    cuts = [lines[:1], lines[1:12], lines[12:400], lines[400:-1], lines[-1:]]
    api.next("watch", streams(*cuts))
    events = await collect(client.watch(RUNS, resource_version="1"))
    assert [event["object"]["name"] for event in events] == ["ä", "ö" * 300, "ü"]


async def test_a_watch_asks_for_bookmarks_and_an_end(client, api):
    api.next("watch", streams())
    assert not await collect(
        client.watch(RUNS, namespace="ns", resource_version="7", timeout_seconds=300.5)
    )
    assert api.requests[-1].query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "300",
    }


@pytest.mark.parametrize(
    "answer",
    [
        fails(410, "Expired"),
        streams(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n'),
    ],
    ids=["status", "in-stream"],
)
async def test_a_version_that_is_too_old_is_gone(client, api, answer):
    api.next("watch", answer)
    with pytest.raises(Gone):
        await collect(client.watch(RUNS, resource_version="1"))


@pytest.mark.parametrize("end", ["cut", "end"])
async def test_a_watch_that_is_cut_within_an_event_is_no_end(client, api, end):
    api.next("watch", streams(b'{"type":"ADDED","object":{}}\n{"type":"AD', end=end))
    events = client.watch(RUNS, resource_version="1")
    assert await anext(events) == {"type": "ADDED", "object": {}}
    with pytest.raises(Unreachable):
        await anext(events)


async def test_a_silent_watch_is_dead(api):
    api.next("watch", streams(b'{"type":"ADDED","object":{}}\n', end="silent"))
    async with api.client(timeouts=quick(silence=0.05)) as client:
        events = client.watch(RUNS, resource_version="1")
        await anext(events)
        with pytest.raises(Unreachable):
            await anext(events)


async def test_logs_come_line_by_line_with_an_unfinished_last_one(client, api):
    api.next("logs", streams(b"one\ntw", b"o\n\nthree"))
    lines = [
        line
        async for line in client.pod_logs(
            "p", namespace="ns", container="main", tail_lines=10, since=90.0
        )
    ]
    assert lines == [b"one", b"two", b"", b"three"]
    assert api.requests[-1].path == "/api/v1/namespaces/ns/pods/p/log"
    assert api.requests[-1].query == {
        "container": "main",
        "tailLines": "10",
        "sinceSeconds": "90",
    }


async def test_a_followed_log_may_be_silent(api):
    released = asyncio.Event()

    async def answer(request):
        response = await streams(b"one\n")(request)
        await released.wait()
        await response.write(b"two\n")
        return response

    api.next("logs", answer)
    async with api.client(timeouts=quick(silence=0.05)) as client:
        lines = client.pod_logs("p", namespace="ns", follow=True)
        assert await anext(lines) == b"one"
        second = asyncio.create_task(anext(lines))
        done, _ = await asyncio.wait({second}, timeout=0.3)
        assert not done
        released.set()
        assert await second == b"two"
        await lines.aclose()
