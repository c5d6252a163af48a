import asyncio
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from gradient_operator.kube.client import RetryPolicy
from gradient_operator.kube.elector import ElectionTimes, LeadershipLost, LeaseElector
from gradient_operator.kube.resources import LEASES
from gradient_operator.observability.metrics import Metrics
from tests.unit.kube.behaviours import QUICK, ElectorBehaviour, elector
from tests.unit.kube.faults import fails, hangs, resets, status
from tests.waiting import eventually


class TestOnTheServerInMemory(ElectorBehaviour):
    @pytest.fixture
    def cluster(self, client):
        return client

    @pytest.fixture
    def namespace(self):
        return "ns"


def hurried(client):
    """An elector that renews only when it is told to, and how to tell it."""
    now = 0.0
    times = ElectionTimes(duration=120, renew_deadline=100, retry_period=0.05)

    def hurry():
        nonlocal now
        now = 90.0

    lead = LeaseElector(
        client, namespace="ns", name="lock", identity="me", times=times, clock=lambda: now
    )
    return lead, hurry


async def renewed(lead, holding):
    """Wait until its leadership lasts longer than that which it acquired."""

    async def lasts():
        assert not holding.done()
        assert lead._remaining() >= 50

    await eventually(lasts, seconds=10, pause=0.01)
    holding.cancel()


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
    now = ElectionTimes().renew_deadline
    assert not lead.is_leader()


@pytest.mark.parametrize("fault", [fails(500), fails(429), fails(403), resets])
async def test_a_leader_survives_faults_that_are_shorter_than_its_reserve(api, fault):
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead, hurry = hurried(client)
        await lead.acquire()
        api.next("patch", *[fault] * 3)
        hurry()
        holding = asyncio.create_task(lead.hold())
        await api.seen("patch", 4)
        await renewed(lead, holding)


async def test_a_renewal_that_hangs_is_given_up_in_time(api, client):
    lead = elector(client, "ns", "me")
    await lead.acquire()
    api.next("patch", *[hangs] * 100)
    with pytest.raises(LeadershipLost):
        await lead.hold()


async def test_a_renewal_that_hangs_once_is_sent_again(api, client):
    now = 0.0
    times = ElectionTimes(duration=120, renew_deadline=100, retry_period=0.05)
    lead = LeaseElector(
        client, namespace="ns", name="lock", identity="me", times=times, clock=lambda: now
    )
    await lead.acquire()

    async def hangs_and_leaves_time(request):
        nonlocal now
        now = 90.0
        return await hangs(request)

    api.next("patch", hangs_and_leaves_time)
    now = 99.6  # half of what is left: 0.2 s
    holding = asyncio.create_task(lead.hold())
    await api.seen("patch", 2)
    await renewed(lead, holding)


async def test_a_leader_that_cannot_renew_ends_in_time(api):
    async with api.client(retries=RetryPolicy(attempts=1)) as client:
        lead = elector(client, "ns", "me")
        await lead.acquire()
        api.next("patch", *[fails(503)] * 100)
        with pytest.raises(LeadershipLost, match=r"could not be renewed for 2\.4 s"):
            await lead.hold()
        assert not lead.is_leader()


async def test_a_renewal_whose_answer_was_lost_is_recognised(api, client):
    """The client sends the patch again; the server refuses it, since the first one was stored."""
    lead, hurry = hurried(client)
    await lead.acquire()

    async def stored_but_lost(request):
        await api._serve(request)
        return await resets(request)

    api.next("patch", stored_but_lost)
    hurry()
    holding = asyncio.create_task(lead.hold())
    await api.seen("get", 2)
    await renewed(lead, holding)


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


async def test_an_end_in_the_middle_of_a_renewal_still_gives_the_lease_back(api, client, caplog):
    lead, hurry = hurried(client)
    await lead.acquire()
    stored = asyncio.Event()

    async def stored_and_not_answered(request):
        await api._serve(request)
        stored.set()
        return await hangs(request)

    api.next("patch", stored_and_not_answered)
    hurry()
    holding = asyncio.create_task(lead.hold())
    await stored.wait()
    holding.cancel()
    await lead.release()
    assert api.objects[LEASES.plural, "ns", "lock"]["spec"]["holderIdentity"] == ""
    assert "cannot give the lease back" not in caplog.text


async def test_a_lease_that_another_took_meanwhile_is_not_given_back(api, client):
    lead = elector(client, "ns", "me")
    await lead.acquire()
    held(api, holder="usurper")
    await lead.release()
    assert api.objects[LEASES.plural, "ns", "lock"]["spec"]["holderIdentity"] == "usurper"


async def test_who_never_led_gives_nothing_back(api, client):
    await elector(client, "ns", "me").release()
    assert not api.requests


async def test_leading_shows_in_the_metrics(client):
    metrics = Metrics()
    lead = LeaseElector(client, namespace="ns", name="lock", identity="me", metrics=metrics)
    assert "gradient_operator_leader 0.0" in generate_latest(metrics.registry).decode()
    await lead.acquire()
    assert "gradient_operator_leader 1.0" in generate_latest(metrics.registry).decode()


async def test_a_standby_asks_for_nothing_while_the_leader_renews(api, client):
    """Two calls to begin with, and then a watch; the leader's are the renewals alone."""
    times = ElectionTimes(duration=3.0, renew_deadline=2.4, retry_period=0.02)
    leader, standby = elector(client, "ns", "first", times), elector(client, "ns", "second", times)
    await leader.acquire()
    holding = asyncio.create_task(leader.hold())
    waiting = asyncio.create_task(standby.acquire())
    await api.seen("patch", 2)  # beyond the duration
    assert not waiting.done()
    assert (api.count("get"), api.count("watch")) == (2, 1)
    holding.cancel()
    await leader.release()
    await waiting
    assert standby.is_leader()


def standing_by(client, duration=600):
    """A standby whose own clock says that nothing has passed, so that only a watch can tell it."""
    times = ElectionTimes(duration=duration, renew_deadline=1, retry_period=0.02)
    return LeaseElector(
        client, namespace="ns", name="lock", identity="standby", times=times, clock=lambda: 0.0
    )


def held(api, holder="leader", duration=600):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration, "leaseTransitions": 3}
    return api.put(LEASES.plural, "lock", spec=spec)


async def test_a_lease_that_is_given_back_is_taken_at_once(api, client):
    held(api)
    waiting = asyncio.create_task(standing_by(client).acquire())
    await api.watched()
    held(api, holder="")
    await waiting
    lease = api.objects[LEASES.plural, "ns", "lock"]
    assert lease["spec"]["holderIdentity"] == "standby"
    assert lease["spec"]["leaseTransitions"] == 4


@pytest.mark.parametrize("trouble", ["cut", "gone", "error"])
async def test_a_standby_hears_of_a_lease_that_is_given_back_though_its_watch_broke(
    api, client, trouble
):
    held(api)
    waiting = asyncio.create_task(standing_by(client).acquire())
    await api.watched()
    if trouble == "gone":
        api.end_watches(status(410, "Expired", "too old"))
    elif trouble == "error":
        api.next("watch", fails(429), fails(500))
        api.cut_watches()
    else:
        api.cut_watches(b'{"type": "MODI')
    await api.seen("watch", 4 if trouble == "error" else 2)
    held(api, holder="")
    await waiting


async def test_a_silent_watch_does_not_keep_a_standby_from_a_lease_that_nobody_renews(api, client):
    held(api, duration=1)
    api.next("watch", hangs, hangs, hangs)
    lead = elector(client, "ns", "standby")
    await lead.acquire()
    assert lead.is_leader()
    assert api.count("get") == 2


async def test_a_silent_watch_does_not_make_a_standby_take_a_lease_that_is_renewed(api, client):
    now = 0.0
    lead = LeaseElector(client, namespace="ns", name="lock", identity="me", clock=lambda: now)
    held(api, duration=1)
    api.next("watch", hangs)
    waiting = asyncio.create_task(lead.acquire())
    await api.seen("watch")
    held(api, duration=2)  # which the standby does not hear
    now = 1.0
    await api.seen("watch", 2)
    assert not waiting.done()
    waiting.cancel()


async def test_a_lease_that_was_deleted_still_belongs_to_its_leader(api, client):
    """It leads until its time is over, and makes the Lease again meanwhile."""
    now = 0.0
    lead = LeaseElector(client, namespace="ns", name="lock", identity="me", clock=lambda: now)
    held(api, duration=20)
    await lead._look()
    api.remove(LEASES.plural, "lock")
    now = 19.0
    assert not await lead._try_to_lead()
    now = 20.0
    assert await lead._try_to_lead()


async def test_a_standby_that_may_not_watch_says_so_and_takes_the_lease_in_the_end(
    api, client, caplog
):
    held(api, duration=1)
    api.next("watch", *[fails(403, "Forbidden")] * 100)
    lead = elector(client, "ns", "standby")
    await lead.acquire()
    assert lead.is_leader()
    assert "let the Role allow `watch`" in caplog.text


def test_an_idle_leader_sends_no_more_than_five_requests_in_a_minute():
    assert 60 / ElectionTimes().pace(busy=False) <= 5


async def test_work_that_comes_while_an_idle_leader_rests_brings_its_renewal_forward(api, client):
    busy = False
    times = ElectionTimes(duration=600, renew_deadline=500, retry_period=0.05)
    lead = LeaseElector(
        client, namespace="ns", name="lock", identity="me", times=times, busy=lambda: busy
    )
    await lead.acquire()
    holding = asyncio.create_task(lead.hold())
    await asyncio.sleep(0)
    assert api.count("patch") == 0
    busy = True
    await api.seen("patch", 2)
    holding.cancel()


def test_a_promise_is_never_shorter_than_the_leadership(client):
    lead = elector(client, "ns", "me", ElectionTimes(duration=1.4, renew_deadline=1.3))
    assert lead._seconds() == 2


def test_times_that_let_two_lead_are_refused():
    with pytest.raises(ValueError, match="must be below the renew deadline"):
        ElectionTimes(duration=10, renew_deadline=10, retry_period=2)
