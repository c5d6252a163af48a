"""Two operators, one lease: one works, the other takes over."""

import uuid

import pytest

from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE, running
from tests.integration.operator.process import QUICK_LEASE, OperatorProcess
from tests.waiting import eventually


@pytest.fixture
async def pair(installed, namespace, tmp_path):
    """The leader, and the one that waits."""
    lease = {**QUICK_LEASE, "name": f"lease-{uuid.uuid4().hex[:6]}"}
    made = [
        OperatorProcess(installed, namespace, tmp_path, identity=identity, lease=lease)
        for identity in ("first", "second")
    ]
    made[0].start()
    await made[0].ready()
    made[1].start()
    await made[1].says("listening")
    yield made
    for process in made:
        process.stop()


async def begun(team, kubelet):
    """A run under way: its first job runs, another needs it."""
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    return await running(team, kubelet, builder)


async def finished(team, kubelet, run, pod):
    await kubelet.end(pod)
    await kubelet.run(await kubelet.pod("b"))
    status = await team.ended(run, "Succeeded")
    assert {job["attempt"] for job in status["jobs"].values()} == {1}


async def test_only_one_of_two_works(pair, team, kubelet):
    leader, standby = pair
    await finished(team, kubelet, *await begun(team, kubelet))
    assert await leader.metric("leader") == 1
    assert await standby.metric("leader") == 0
    assert await standby.metric("status_writes_total") == 0
    assert '"ok"' in await standby.get("/readyz")


async def test_the_other_takes_over_when_the_leader_is_killed(pair, team, kubelet):
    leader, standby = pair
    run, pod = await begun(team, kubelet)
    leader.kill()
    await standby.ready()
    await finished(team, kubelet, run, pod)


async def test_the_lease_is_given_back_at_a_rolling_update(pair, team, kubelet, client, namespace):
    leader, standby = pair
    run, pod = await begun(team, kubelet)
    assert leader.terminate() == 0
    await standby.ready()
    await finished(team, kubelet, run, pod)
    assert any(line["msg"] in {"stopped", "stopping"} for line in leader.log())


async def test_a_leader_that_was_frozen_ends_and_writes_nothing(pair, team, kubelet):
    leader, standby = pair
    run, pod = await begun(team, kubelet)
    leader.pause()
    await standby.ready()
    await finished(team, kubelet, run, pod)

    before = (await team.run(run))["metadata"]["resourceVersion"]
    leader.resume()
    assert await leader.ends() == 1

    async def unchanged():
        assert (await team.run(run))["metadata"]["resourceVersion"] == before

    await eventually(unchanged)
    assert standby.running


async def test_a_takeover_leaves_one_run_of_a_group_under_way(pair, team, kubelet):
    leader, standby = pair
    group = team.name("gpu")
    builder = make_workflow(concurrency=group).job("a").on(MACHINE)
    first, second = [await team.start(builder, name=f"{group}-{number}") for number in (1, 2)]
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(first, "a", phase="Running")
    leader.pause()
    await standby.ready()

    async def waits():
        message = (await team.run(second)).get("status", {}).get("message", "")
        assert message.startswith(f"waits for run {first}:")

    await eventually(waits)
    await kubelet.end(pod)
    await team.job(second, "a", phase="Starting")
    leader.resume()
    assert await leader.ends() == 1
    runs = [pod["metadata"]["labels"]["gradient.run/run"] for pod in await kubelet.pods("a")]
    assert sorted(set(runs)) == sorted(runs)
    (later,) = [
        pod
        for pod in await kubelet.pods("a")
        if pod["metadata"]["labels"]["gradient.run/run"] == second
    ]
    await kubelet.run(later)
    await team.ended(first, "Succeeded")
    await team.ended(second, "Succeeded")
