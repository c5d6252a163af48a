"""The way to the API server breaks while runs are under way."""

from contextlib import asynccontextmanager

import pytest

from tests.builders import make_workflow
from tests.integration.kube.proxy import Proxy
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.process import OperatorProcess
from tests.waiting import eventually


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


@asynccontextmanager
async def trouble(proxy, operator, kind):
    """Cut everything that is open, refuse what is new, or swallow both, while things happen."""
    if kind == "swallow":
        proxy.swallow()
        yield
        proxy.flow()
        return
    if kind == "cut":
        proxy.cut()
        yield
        return
    await proxy.refuse()
    await eventually(lambda: refused(operator), pause=0.05)
    yield
    await proxy.listen()


async def refused(operator):
    """It has tried again to follow both kinds, and there was nobody."""
    said = [line["msg"] for line in operator.log() if "onnect call failed" in line["msg"]]
    assert {"pods", "gradientruns"} <= {text.split()[1] for text in said}, operator.log()[-5:]


@pytest.mark.parametrize("kind", ["cut", "refuse", "swallow"])
async def test_nothing_that_happens_meanwhile_is_missed(operator, proxy, team, kubelet, kind):
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    run = await team.start(builder)
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    name = team.name()
    async with trouble(proxy, operator, kind):
        await kubelet.end(pod)
        await team.apply(name, make_workflow().job("x"))
    await kubelet.run(await kubelet.pod("b"))
    status = await team.ended(run, "Succeeded")
    assert {job["attempt"] for job in status["jobs"].values()} == {1}
    await team.started(name, 1)
    assert operator.running
