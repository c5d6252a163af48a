"""`gradient why` on what the real API server, scheduler and operator say."""

import time
from dataclasses import asdict

import pytest

from gradient_operator.cli.cluster import Cluster
from gradient_operator.cli.diagnosis import diagnose
from gradient_operator.cli.output.run_view import run_view
from gradient_operator.cli.output.why_view import as_text
from gradient_operator.cli.why_facts import gather
from gradient_operator.kube.resources import INSTANCE_TYPES
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE, machine_type
from tests.waiting import eventually


@pytest.fixture
def why(client, team):
    """Wait until a run has a wait of that reason; the wait, and the whole screen."""

    async def ask(run, reason):
        async def look():
            found = await team.run(run)
            facts = await gather(Cluster(client, team.namespace), found)
            answer = diagnose(run_view(found), facts, time.time())
            waits = {wait.reason: asdict(wait) for wait in answer.waits}
            assert reason in waits, waits
            return waits[reason], as_text(answer, time.time())

        return await eventually(look)

    return ask


async def test_a_gpu_that_no_node_has_free(operator, team, client, why):
    body = machine_type()
    body["metadata"]["name"] = body["spec"]["name"] = "why-gpu"
    body["spec"]["gpu"] = {"count": 1}
    await client.apply(INSTANCE_TYPES, body, name="why-gpu", field_manager="tests")
    run = await team.start(make_workflow().job("train").on("why-gpu"))
    wait, screen = await why(run, "GPUBusy")
    assert wait["jobs"] == ("train",)
    assert any("not enough nvidia.com/gpu free" in line for line in wait["details"])
    assert wait["since"] is not None
    assert "Waits: GPU busy (GPUBusy), for " in screen
    await team.cancel(run)
    await team.ended(run, "Cancelled")


async def test_a_quota_names_who_uses_it(operator, team, kubelet, why):
    holder = await team.start(make_workflow().job("a").on(MACHINE))
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    async with team.quota(**{"count/pods": "1"}):
        run = await team.start(make_workflow().job("b"))
        wait, _ = await why(run, "QuotaExceeded")
        assert holder in [each["run"] for each in wait["held_by"]]
        assert "exceeded quota" in wait["message"]
    await kubelet.end(pod)
    await team.ended(run, "Succeeded")


async def test_a_run_in_line_names_the_run_before_it(operator, team, kubelet, why):
    group = team.name("group")
    builder = make_workflow(concurrency=group).job("c").on(MACHINE)
    first, second = [await team.start(builder, name=f"{group}-{number}") for number in (1, 2)]
    pod = await kubelet.pod("c")
    wait, _ = await why(second, "Queued")
    assert [each["run"] for each in wait["held_by"]] == [first]
    await team.cancel(second)
    await kubelet.run(pod)
    await team.ended(first, "Succeeded")


async def test_a_machine_type_that_nobody_installed(operator, team, why):
    run = await team.start(make_workflow().job("d").on("Z9"))
    wait, screen = await why(run, "UnknownInstanceType")
    assert "machine type 'Z9' is not known" in wait["message"]
    assert "kubectl get gradientinstancetypes" in screen
    await team.cancel(run)
    await team.ended(run, "Cancelled")
