"""The way to the API server breaks while runs are under way."""

import asyncio

import pytest

from tests.builders import make_workflow
from tests.integration.kube.proxy import Proxy
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.process import OperatorProcess


@pytest.fixture
async def proxy(installed):
    async with Proxy(installed) as made:
        yield made


@pytest.fixture
async def operator(proxy, namespace, tmp_path):
    """An operator that reaches the API server through the proxy alone."""
    # A lease that outlasts the trouble: this is not about handing over.
    lease = {"name": "operator-under-test", "duration": 30, "renewDeadline": 20, "retryPeriod": 1}
    process = OperatorProcess(proxy.kubeconfig(tmp_path), namespace, tmp_path, lease=lease)
    process.start()
    await process.ready()
    yield process
    process.stop()


async def trouble(proxy, kind):
    """Cut everything that is open, refuse what is new, or swallow both, for a moment."""
    if kind == "cut":
        proxy.cut()
    elif kind == "refuse":
        await proxy.refuse()
        await asyncio.sleep(2)
        await proxy.listen()
    else:
        proxy.swallow()
        await asyncio.sleep(2)
        proxy.flow()


@pytest.mark.parametrize("kind", ["cut", "refuse", "swallow"])
async def test_nothing_that_happens_meanwhile_is_missed(operator, proxy, team, kubelet, kind):
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    run = await team.start(builder)
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    breaking = asyncio.create_task(trouble(proxy, kind))
    await kubelet.end(pod)
    name = team.name()
    await team.apply(name, make_workflow().job("x"))
    await breaking
    await kubelet.run(await kubelet.pod("b"))
    status = await team.ended(run, "Succeeded")
    assert {job["attempt"] for job in status["jobs"].values()} == {1}
    await team.started(name, 1)
    assert operator.running
