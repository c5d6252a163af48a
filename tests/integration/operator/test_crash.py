"""The operator dies without warning, at many moments; afterwards nothing has run twice."""

import pytest

from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE, running
from tests.waiting import eventually

WIDTH = 10
DEPTH = 4


def layers():
    """Every job of a layer needs two of the layer before."""
    builder = make_workflow()
    for layer in range(DEPTH):
        for number in range(WIDTH):
            builder.job(f"l{layer}-{number}")
            if layer:
                builder.needs(f"l{layer - 1}-{number}", f"l{layer - 1}-{(number + 1) % WIDTH}")
    return builder


async def pods_of(team, kubelet, run):
    uid = (await team.run(run))["metadata"]["uid"]
    return [
        pod
        for pod in await kubelet.pods()
        if pod["metadata"]["labels"]["gradient.run/run-uid"] == uid
    ]


@pytest.mark.parametrize("pods", [0, 1, WIDTH + 1, 2 * WIDTH + 5])
async def test_a_death_half_way_makes_no_second_pod(operator, team, kubelet, pods):
    run = await team.start(layers())

    async def far_enough():
        assert len(await pods_of(team, kubelet, run)) >= pods

    await eventually(far_enough)
    operator.kill()
    operator.start()
    status = await team.ended(run, "Succeeded")
    assert status["progress"] == f"{DEPTH * WIDTH}/{DEPTH * WIDTH}"
    made = await pods_of(team, kubelet, run)
    assert len(made) == DEPTH * WIDTH
    assert {pod["metadata"]["labels"]["gradient.run/attempt"] for pod in made} == {"1"}


async def test_what_happened_meanwhile_is_seen_afterwards(operator, team, kubelet):
    builder = make_workflow().job("ends").on(MACHINE).job("fails").on(MACHINE)
    builder.job("goes-on").on(MACHINE).job("after").needs("ends")
    run = await team.start(builder, policy={"retries": 1})
    ends, fails = await kubelet.pod("ends"), await kubelet.pod("fails")
    goes_on = await kubelet.pod("goes-on")
    for pod in (ends, fails, goes_on):
        await kubelet.start(pod)
    await team.job(run, "goes-on", phase="Running")
    operator.kill()
    await kubelet.end(ends)
    await kubelet.end(fails, 3)
    operator.start()
    await kubelet.run(await kubelet.pod("fails", 2))
    await kubelet.end(goes_on)
    status = await team.ended(run, "Succeeded")
    assert {name: job["attempt"] for name, job in status["jobs"].items()} == {
        "ends": 1,
        "fails": 2,
        "goes-on": 1,
        "after": 1,
    }


async def test_a_pod_deleted_meanwhile_keeps_its_result(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    operator.kill()
    await kubelet.end(pod, 0)
    await kubelet.later()  # an end in the second of the deletion would be taken for its work
    await kubelet.remove(pod)
    assert len(await kubelet.pods("a")) == 1, "the finalizer keeps it"
    operator.start()
    status = await team.ended(run, "Succeeded")
    assert status["jobs"]["a"]["attempt"] == 1
    await kubelet.gone(pod)


async def test_a_death_before_pods_are_let_go_leaves_that_to_the_next(operator, team, kubelet):
    builder = make_workflow()
    for number in range(WIDTH):
        builder.job(f"j{number}").on(MACHINE)
    run = await team.start(builder)
    pods = [await kubelet.pod(f"j{number}") for number in range(WIDTH)]
    for pod in pods:
        await kubelet.run(pod)
    await team.ended(run, "Succeeded")
    operator.kill()
    operator.start()
    for pod in pods:
        await kubelet.released(pod)
    before = (await team.run(run))["metadata"]["resourceVersion"]
    assert len(await kubelet.pods()) == WIDTH
    assert (await team.run(run))["metadata"]["resourceVersion"] == before


async def test_a_workflow_applied_meanwhile_starts_one_run(operator, team):
    name = team.name()
    await team.apply(name, make_workflow().job("a"))
    await team.started(name, 1)
    operator.kill()
    await team.apply(name, make_workflow().job("b"))
    await team.apply(name, make_workflow().job("c"))
    operator.start()
    await team.started(name, 2)


async def test_a_cancel_meanwhile_is_obeyed(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    operator.kill()
    await team.cancel(run)
    operator.start()
    await kubelet.obey(pod)
    await team.ended(run, "Cancelled")
