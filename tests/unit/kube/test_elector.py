import asyncio
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from gradient_operator.kube.client import RetryPolicy
from gradient_operator.kube.elector import ElectionTimes, LeadershipLost, LeaseElector
from gradient_operator.kube.resources import LEASES
from gradient_operator.observability.metrics import Metrics
from tests.unit.kube.behaviours import QUICK, ElectorBehaviour, elector
from tests.unit.kube.faults import fails, hangs, resets


class TestOnTheServerInMemory(ElectorBehaviour):
    @pytest.fixture
    def cluster(self, client):
        return client

    @pytest.fixture
    def namespace(self):
        return "ns"


async def test_the_end_of_leadership_needs_no_answer_and_no_task(client):
    now = 0.0
    times = ElectionTimes()
    lead = LeaseElector(
        client, namespace="ns", name="lock", identity="me", times=times, clock=lambda: now
    )
    await lead.acquire()
    now = times.renew_deadline - 0.1
    assert lead.is_leader()
    now = times.renew_deadline
    assert not lead.is_leader()


async def test_the_time_that_a_request_took_does_not_prolong_the_leadership(api, client):
    now = 0.0

    async def slow(request):
        nonlocal now
        now = 7.0
        return await api_create(request)

    async def api_create(request):
        return await api._serve(request)

    api.next("create", slow)
    lead = LeaseElector(client, namespace="ns", name="lock", identity="me", clock=lambda: now)
    await lead.acquire()
    now = 10.0
    assert not lead.is_leader()


@pytest.mark.parametrize("fault", [fails(500), fails(429), fails(403), resets])
async def test_a_leader_survives_faults_that_are_shorter_than_its_deadline(api, fault):
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead = elector(client, "ns", "me", replace(QUICK, duration=30, renew_deadline=20))
        await lead.acquire()
        api.next("patch", *[fault] * 3)
        holding = asyncio.create_task(lead.hold())
        await api.seen("patch", 5)
        assert lead.is_leader()
        holding.cancel()


async def test_a_renewal_that_hangs_is_given_up_in_time(api, client):
    lead = elector(client, "ns", "me")
    await lead.acquire()
    api.next("patch", hangs)
    with pytest.raises(LeadershipLost):
        await lead.hold()


async def test_a_leader_that_cannot_renew_ends_in_time(api):
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead = elector(client, "ns", "me")
        await lead.acquire()
        api.next("patch", *[fails(503)] * 100)
        with pytest.raises(LeadershipLost, match=r"could not be renewed for 1\.6 s"):
            await lead.hold()
        assert not lead.is_leader()


async def test_a_renewal_whose_answer_was_lost_is_recognised(api, client):
    """The client sends the patch again; the server refuses it, since the first one was stored."""
    lead = elector(client, "ns", "me", replace(QUICK, duration=30, renew_deadline=20))
    await lead.acquire()

    async def stored_but_lost(request):
        await api._serve(request)
        return await resets(request)

    api.next("patch", stored_but_lost)
    holding = asyncio.create_task(lead.hold())
    await api.seen("get", 2)
    await api.seen("patch", 4)
    assert not holding.done()
    assert lead.is_leader()
    holding.cancel()


async def test_somebody_elses_change_of_the_lease_is_no_renewal(api, client):
    now = 0.0
    times = replace(QUICK, duration=30, renew_deadline=20, retry_period=0.01)
    lead = LeaseElector(
        client, namespace="ns", name="lock", identity="me", times=times, clock=lambda: now
    )
    await lead.acquire()
    now = 19.9
    api.put(LEASES.plural, "lock", labels={"touched": "yes"})
    holding = asyncio.create_task(lead.hold())
    await api.seen("patch", 1)
    await api.seen("get", 2)
    now = 20.0
    with pytest.raises(LeadershipLost):
        await holding


async def test_an_election_waits_for_the_api_server(api):
    api.next("get", *[fails(503)] * 3, resets)
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead = elector(client, "ns", "me")
        await lead.acquire()
        assert lead.is_leader()


async def test_two_that_create_the_lease_at_once_do_not_both_lead(api, client):
    first, second = elector(client, "ns", "first"), elector(client, "ns", "second")
    api.next("get", fails(404, "NotFound"), fails(404, "NotFound"))
    won = await asyncio.gather(first._try_to_lead(), second._try_to_lead())
    assert sorted(won) == [False, True]


async def test_a_lease_that_cannot_be_given_back_does_not_hold_up_the_end(api, caplog):
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead = elector(client, "ns", "me")
        await lead.acquire()
        api.next("patch", hangs)
        await lead.release()
        assert not lead.is_leader()
        await lead.release()  # a second time does nothing
        assert api.count("patch") == 1
    assert "cannot give the lease back" in caplog.text


async def test_who_never_led_gives_nothing_back(api, client):
    await elector(client, "ns", "me").release()
    assert not api.requests


async def test_leading_shows_in_the_metrics(client):
    metrics = Metrics()
    lead = LeaseElector(client, namespace="ns", name="lock", identity="me", metrics=metrics)
    assert "gradient_operator_leader 0.0" in generate_latest(metrics.registry).decode()
    await lead.acquire()
    assert "gradient_operator_leader 1.0" in generate_latest(metrics.registry).decode()


def test_times_that_let_two_lead_are_refused():
    with pytest.raises(ValueError, match="must be below the renew deadline"):
        ElectionTimes(duration=10, renew_deadline=10, retry_period=2)
