"""One run of a group at a time, with the real operator, also across its restart.

The names of runs count up: of runs of the same second the name decides which is the newer.
"""

import pytest

from gradient_operator.kube.resources import RUNS
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.team import condition
from tests.waiting import eventually


@pytest.fixture
def group(team):
    """A group of its own for each test."""
    return team.name("gpu")


def job(group, **how):
    declared = {"group": group, **how} if how else group
    return make_workflow(concurrency=declared).job("a").on(MACHINE)


async def queued(team, run, behind):
    """Wait until a run says that it waits for another."""

    async def ask():
        status = (await team.run(run)).get("status", {})
        assert status.get("message", "").startswith(f"waits for run {behind}:"), status
        return status

    return await eventually(ask)


async def under_way(team, kubelet, run):
    """Wait for the Pod of a run, and let it run; its group has no other."""
    await team.job(run, "a", phase="Starting")
    group = (await team.run(run))["spec"]["definition"]["concurrency"]
    pods = {}
    for pod in await kubelet.pods("a"):
        name = pod["metadata"]["labels"]["gradient.run/run"]
        if pod["status"]["phase"] in {"Succeeded", "Failed"}:
            continue
        if (await team.run(name))["spec"]["definition"]["concurrency"] == group:
            pods[name] = pod
    assert list(pods) == [run]
    await kubelet.start(pods[run])
    await team.job(run, "a", phase="Running")
    return pods[run]


async def test_runs_of_a_group_follow_one_another(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    status = await queued(team, second, first)
    assert condition(status, "Succeeded")["reason"] == "Queued"

    await kubelet.end(pod)
    await team.ended(first, "Succeeded")
    await kubelet.end(await under_way(team, kubelet, second))
    await team.ended(second, "Succeeded")
    assert await operator.metric("run_wait_concurrency_seconds_count") >= 1


async def test_of_those_that_wait_the_newest_remains(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    await queued(team, second, first)
    third = await team.start(job(group), name=f"{group}-3")

    status = await team.ended(second, "Cancelled")
    assert status["message"].startswith(f"superseded by run {third}, which waits in its place")
    await kubelet.end(pod)
    await kubelet.end(await under_way(team, kubelet, third))
    await team.ended(third, "Succeeded")


async def test_a_newer_run_cancels_what_is_in_progress_and_then_starts(
    operator, team, kubelet, group
):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group, **{"cancel-in-progress": True}), name=f"{group}-2")
    await queued(team, second, first)

    await kubelet.obey(pod)
    status = await team.ended(first, "Cancelled")
    assert status["message"].startswith(f"superseded by run {second}, which cancels")
    await kubelet.end(await under_way(team, kubelet, second))
    await team.ended(second, "Succeeded")


async def test_a_restart_in_between_starts_no_second_run(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    await queued(team, second, first)
    operator.kill()
    third = await team.start(job(group), name=f"{group}-3")
    operator.start()
    await operator.ready()

    status = await team.ended(second, "Cancelled")
    assert status["message"].startswith(f"superseded by run {third},")
    await queued(team, third, first)
    operator.kill()
    await kubelet.end(pod)
    operator.start()
    await operator.ready()
    await team.ended(first, "Succeeded")
    await kubelet.end(await under_way(team, kubelet, third))
    await team.ended(third, "Succeeded")


async def test_runs_that_came_while_no_operator_looked_start_one_by_one(
    operator, team, kubelet, group
):
    operator.kill()
    runs = [await team.start(job(group), name=f"{group}-{number}") for number in range(3)]
    operator.start()
    await operator.ready()
    await kubelet.end(await under_way(team, kubelet, runs[0]))
    status = await team.ended(runs[1], "Cancelled")
    assert status["message"].startswith(f"superseded by run {runs[2]},")
    await kubelet.end(await under_way(team, kubelet, runs[2]))
    await team.ended(runs[2], "Succeeded")


async def test_a_waiting_run_can_be_cancelled(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    await queued(team, second, first)
    await team.cancel(second)
    await team.ended(second, "Cancelled")
    await kubelet.end(pod)
    await team.ended(first, "Succeeded")


async def test_a_deleted_run_lets_the_next_one_start(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    await queued(team, second, first)
    await team.delete(first)
    await kubelet.obey(pod)
    await kubelet.end(await under_way(team, kubelet, second))
    await team.ended(second, "Succeeded")


async def test_a_wrong_run_is_refused_and_stands_in_nobodys_way(operator, team, kubelet, group):
    first = await team.start(job(group), name=f"{group}-1")
    pod = await under_way(team, kubelet, first)
    second = await team.start(job(group), name=f"{group}-2")
    await queued(team, second, first)
    wrong = await team.start(job(group).takes("x", "workflow.inputs.x"), name=f"{group}-3")
    await team.ended(wrong, "Failed")
    await kubelet.end(pod)
    await kubelet.end(await under_way(team, kubelet, second))
    await team.ended(second, "Succeeded")


async def test_the_group_follows_the_inputs_of_a_run(operator, team, client, kubelet, group):
    inputs = {"data": {"type": "string", "with": {"value": "x"}}}
    builder = make_workflow(concurrency=f"{group}-${{{{ inputs.data }}}}", inputs=inputs)
    builder.job("a").on(MACHINE).takes("data", "workflow.inputs.data")
    runs = [await team.start(builder, inputs={"data": {"value": each}}) for each in ("x", "y")]
    for run in runs:
        await team.job(run, "a", phase="Starting")
    for pod in await kubelet.pods("a"):
        if pod["metadata"]["labels"]["gradient.run/run"] in runs:
            await kubelet.run(pod)
    for run in runs:
        await team.ended(run, "Succeeded")
    assert (await client.get(RUNS, name=runs[0], namespace=team.namespace))["spec"]["inputs"]
