import json

import pytest
from prometheus_client import generate_latest

from gradient_operator.kube.backoff import Backoff
from gradient_operator.observability.metrics import Metrics
from tests.unit.kube.behaviours import (
    CONFIG_MAPS,
    LABELS,
    Following,
    ReflectorBehaviour,
    project,
)
from tests.unit.kube.faults import fails, hangs, resets, says, status, streams
from tests.unit.kube.faulty_api import FaultyApi, quick

PLURAL = CONFIG_MAPS.plural


class TestOnTheServerInMemory(ReflectorBehaviour):
    @pytest.fixture
    def cluster(self, client):
        return client

    @pytest.fixture
    def namespace(self):
        return "ns"


def put(api: FaultyApi, name: str, value: str) -> None:
    api.put(PLURAL, name, labels=LABELS, data={"value": value})


def follow(client, **options) -> Following:
    return Following(client, "ns", backoff=Backoff(0.001, 0.01), **options)


async def test_what_vanished_in_a_gap_of_the_watch_is_told_as_deleted(api, client):
    for name in "abc":
        put(api, name, "1")
    async with follow(client) as following:
        await api.watched()
        api.next("watch", fails(410, "Expired"))
        api.cut_watches()
        api.remove(PLURAL, "a")
        put(api, "b", "2")
        api.compact()
        await following.shows(b="2", c="1")
        assert following.told[3:] == [("1", "2"), ("1", None)]


@pytest.mark.parametrize("way", ["in-stream", "status", "while watching"])
async def test_a_version_that_is_too_old_leads_to_a_new_list(api, client, way):
    put(api, "a", "1")
    async with follow(client) as following:
        await api.watched()
        if way == "while watching":
            api.end_watches(status(410, "Expired"))
        else:
            if way == "status":
                api.next("watch", fails(410, "Expired"))
            api.cut_watches()
        api.remove(PLURAL, "a")
        api.compact()
        await following.shows()
        assert api.count("list") == 2


async def test_a_watch_that_is_cut_goes_on_where_it_was(api, client):
    async with follow(client) as following:
        await api.watched()
        put(api, "a", "1")
        await following.shows(a="1")
        api.cut_watches(partial=b'{"type":"MODIFIED","object":{"meta')
        put(api, "b", "2")
        await following.shows(a="1", b="2")
        assert api.count("list") == 1
        assert api.count("watch") == 2


async def test_a_watch_goes_on_from_a_bookmark(api, client):
    async with follow(client) as following:
        await api.watched()
        api.put(PLURAL, "unseen", namespace="elsewhere")
        api.bookmark()
        put(api, "a", "1")
        await following.shows(a="1")
        api.cut_watches()
        await api.seen("watch", 2)
        api.compact()
        put(api, "b", "2")
        await following.shows(a="1", b="2")
        assert api.count("list") == 1


async def test_a_bookmark_alone_moves_the_version(api, client):
    async with follow(client):
        await api.watched()
        for _ in range(7):
            api.put(PLURAL, "unseen", namespace="elsewhere")
        api.bookmark()
        api.cut_watches()
        await api.seen("watch", 2)
        assert api.requests[-1].query["resourceVersion"] == str(api.version)


@pytest.mark.parametrize(
    "fault",
    [
        fails(500),
        fails(429, headers={"Retry-After": "1"}),
        fails(403),
        fails(404),
        resets,
        says("no JSON at all\n"),
        streams(),
        streams(b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n'),
        streams(b'{"type":"MODIFIED","object":{"kind":"Status"}}\n'),
    ],
    ids=["500", "429", "403", "404", "reset", "garbage", "ends at once", "error", "strange"],
)
async def test_no_fault_of_a_watch_ends_the_reflector(api, client, fault):
    async with follow(client) as following:
        await api.watched()
        api.next("watch", *[fault] * (1 if fault is fails else 2))
        api.cut_watches()
        put(api, "a", "1")
        await following.shows(a="1")


@pytest.mark.parametrize("fault", [fails(503), fails(403), fails(404), resets, says("[")])
async def test_no_fault_of_a_list_ends_the_reflector(api, client, fault):
    put(api, "a", "1")
    api.next("list", *[fault] * 6)
    async with follow(client) as following:
        assert not following.reflector.synced.is_set()
        await following.shows(a="1")
        assert following.reflector.synced.is_set()


async def test_a_list_whose_pages_expire_is_begun_again(api, client):
    put(api, "a", "1")
    api.next("list", says(json.dumps({"metadata": {"continue": "x"}, "items": []})))
    api.next("list", fails(410, "Expired"))
    async with follow(client) as following:
        await following.shows(a="1")


async def test_a_silent_watch_is_opened_again(api):
    async with api.client(timeouts=quick(silence=0.05)) as client, follow(client) as following:
        api.next("watch", hangs, streams(end="silent"))
        put(api, "a", "1")
        await following.shows(a="1")
        await api.seen("watch", 4)
        put(api, "a", "2")
        await following.shows(a="2")


async def test_the_age_grows_only_while_nothing_comes(api, client):
    now = 0.0
    async with follow(client, clock=lambda: now) as following:
        await api.watched()
        now = 100.0
        assert following.reflector.last_event_age() == 100.0
        put(api, "a", "1")
        await following.shows(a="1")
        assert following.reflector.last_event_age() == 0.0


async def test_one_object_that_cannot_be_read_does_not_hide_the_others(api, client, caplog):
    put(api, "a", "strange")
    put(api, "b", "1")
    async with follow(client) as following:
        await following.shows(b="1")
        put(api, "b", "strange")
        put(api, "c", "2")
        await following.shows(b="1", c="2")  # of b the last known state stays
        api.next("watch", fails(410, "Expired"))
        api.cut_watches()
        put(api, "d", "3")
        await following.shows(b="1", c="2", d="3")
    assert "cannot read ConfigMap ns/a" in caplog.text


async def test_a_listener_that_fails_does_not_end_the_reflector(api, client, caplog):
    async with follow(client) as following:
        await api.watched()
        heard = following._on_change

        def fail_once(old, new):
            following.reflector._store._on_change = heard
            raise RuntimeError("a fault of the listener")

        following.reflector._store._on_change = fail_once
        put(api, "a", "1")
        put(api, "b", "1")
        await following.shows(a="1", b="1")
    assert "a fault of the listener" in caplog.text


async def test_an_assumption_that_the_watch_never_confirms_ends(api, client):
    now = 0.0
    async with follow(client, clock=lambda: now) as following:
        await api.watched()
        elsewhere = api.put("pods", "a", data={"value": "1"})
        following.reflector.assume(project(elsewhere))
        assert following.values == {"a": "1"}
        now = 61.0
        await following.until(lambda: not following.values)
        assert following.told == [(None, "1"), ("1", None)]


async def test_a_reflector_ends_by_cancellation_and_leaves_no_connection(api, client):
    async with follow(client):
        await api.watched()
    await api.unwatched()


async def test_what_the_reflector_went_through_shows_in_the_metrics(api, client):
    metrics = Metrics()
    put(api, "a", "1")
    async with follow(client, metrics=metrics) as following:
        await api.watched()
        api.cut_watches()
        await api.seen("watch", 2)
        api.end_watches(status(410, "Expired"))
        await api.seen("watch", 3)
        put(api, "b", "1")
        await following.shows(a="1", b="1")
        text = generate_latest(metrics.registry).decode()
    prefix = "gradient_operator_reflector_"
    for line in (
        f'{prefix}items{{resource="configmaps"}} 2.0',
        f'{prefix}relists_total{{reason="start",resource="configmaps"}} 1.0',
        f'{prefix}relists_total{{reason="gone",resource="configmaps"}} 1.0',
        f'{prefix}reconnects_total{{reason="unreachable",resource="configmaps"}} 1.0',
        f'{prefix}events_total{{resource="configmaps"}}',
        f'{prefix}last_event_age_seconds{{resource="configmaps"}}',
    ):
        assert line in text


def listed(version: str) -> str:
    """A list of earlier, when nothing was there yet."""
    return json.dumps({"metadata": {"resourceVersion": version}, "items": []})


async def test_a_list_of_earlier_takes_nothing_away(api, client):
    put(api, "a", "1")
    async with follow(client) as following:
        await following.shows(a="1")
        await api.watched()
        api.next("list", says(listed("1")), says(listed("1")))
        api.next("watch", fails(410, "Expired"))
        api.cut_watches()
        put(api, "a", "2")
        await following.shows(a="2")
        assert api.count("list") == 4
        assert following.told == [(None, "1"), ("1", "2")]


async def test_a_server_that_has_gone_back_for_good_is_believed_in_the_end(api, client):
    put(api, "a", "1")
    async with follow(client) as following:
        await following.shows(a="1")
        await api.watched()
        api.next("list", *[says(listed("1"))] * 10)
        api.next("watch", fails(410, "Expired"))
        api.cut_watches()
        await following.shows()
