"""Reflector and elector when the way to the real API server breaks."""

import asyncio

import pytest

from gradient_operator.kube.backoff import Backoff
from gradient_operator.kube.client import KubeClient, RetryPolicy
from gradient_operator.kube.credentials import load_credentials
from gradient_operator.kube.elector import LeadershipLost
from gradient_operator.kube.errors import Unreachable
from tests.integration.kube.proxy import Proxy
from tests.unit.kube.behaviours import CONFIG_MAPS, Following, body, elector
from tests.unit.kube.faulty_api import quick


@pytest.fixture
async def proxy(kubeconfig):
    async with Proxy(kubeconfig) as made:
        yield made


@pytest.fixture
async def far(proxy, tmp_path):
    """A client whose way leads through the proxy; it gives up quickly."""
    credentials = load_credentials(proxy.kubeconfig(tmp_path))
    async with KubeClient(
        credentials,
        user_agent="gradient-tests",
        retries=RetryPolicy(attempts=1),
        timeouts=quick(silence=3.0, total=3.0),
    ) as client:
        yield client


def follow(client, namespace) -> Following:
    return Following(client, namespace, backoff=Backoff(0.05, 0.2))


@pytest.mark.parametrize("fault", ["cut", "refuse", "swallow"])
async def test_nothing_is_missed_while_the_way_is_broken(cluster, far, proxy, namespace, fault):
    for name, value in (("gone", "1"), ("changed", "1"), ("same", "1"), ("replaced", "1")):
        await cluster.create(CONFIG_MAPS, body(name, value), namespace=namespace)
    async with follow(far, namespace) as following:
        await following.shows(gone="1", changed="1", same="1", replaced="1")
        if fault == "refuse":
            await proxy.refuse()
        elif fault == "cut":
            proxy.cut()
        else:
            proxy.swallow()
        await cluster.delete(CONFIG_MAPS, name="gone", namespace=namespace)
        await cluster.delete(CONFIG_MAPS, name="replaced", namespace=namespace)
        await cluster.create(CONFIG_MAPS, body("replaced", "2"), namespace=namespace)
        await cluster.merge_patch(
            CONFIG_MAPS, {"data": {"value": "2"}}, name="changed", namespace=namespace
        )
        if fault == "refuse":
            with pytest.raises(Unreachable):
                await far.raw_get("/version")
            await proxy.listen()
        elif fault == "swallow":
            with pytest.raises(Unreachable):
                await far.raw_get("/version")
            proxy.flow()
        await following.shows(changed="2", same="1", replaced="2")
        assert ("1", None) in following.told
        assert following.told.count((None, "1")) == 4


async def test_a_leader_that_is_cut_off_stops_before_another_begins(cluster, far, proxy, namespace):
    first, second = elector(far, namespace, "first"), elector(cluster, namespace, "second")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    taking = asyncio.create_task(second.acquire())
    await asyncio.sleep(0)
    proxy.swallow()
    with pytest.raises(LeadershipLost):
        await holding
    assert not first.is_leader()
    assert not second.is_leader()  # the lease lasts longer than its leader believes
    await taking
    assert second.is_leader()
    proxy.flow()
