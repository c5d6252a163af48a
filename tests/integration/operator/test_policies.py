"""Budgets, clocks, pauses and limits with the real operator, also across its restart."""

import contextlib

import pytest

from gradient_operator.kube.resources import INSTANCE_TYPES, PODS, RUNS
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE, machine_type
from tests.integration.operator.process import OperatorProcess
from tests.waiting import eventually

NARROW = "manual-narrow"
"""A machine type of the manual nodes of which two jobs may be under way, with 1Gi of memory."""
MANY = 300
LAST = 100
"""How many Pods of a large run come after that of a small one which waits beside it."""


@pytest.fixture(scope="module")
def shared_operator(installed, namespace, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator")
    process = OperatorProcess(installed, namespace, folder, machineTypeLimits={NARROW: 2})
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def narrow(client, kubelet):
    body = machine_type()
    spec = {**body["spec"], "name": NARROW, "memory": "1Gi"}
    body |= {"metadata": {"name": NARROW}, "spec": spec}
    await client.apply(INSTANCE_TYPES, body, name=NARROW, field_manager="tests")


def job(machine=MACHINE, **fields):
    return make_workflow().job("a", **fields).on(machine)


async def pods_of(kubelet, run):
    return [
        pod
        for pod in await kubelet.pods()
        if pod["metadata"]["annotations"]["gradient.run/run"] == run
        and pod["status"]["phase"] not in {"Succeeded", "Failed"}
    ]


async def placed(kubelet, run):
    """Wait for the one Pod of a run, on its node."""

    async def ask():
        found = await pods_of(kubelet, run)
        assert len(found) == 1, f"{run} has {len(found)} Pods"
        assert "nodeName" in found[0]["spec"], "it has no node yet"
        return found[0]

    return await eventually(ask)


async def test_places_go_to_the_first_by_priority_and_age_also_after_a_restart(
    operator, team, kubelet, narrow
):
    first = [await team.start(job(NARROW)) for _ in range(2)]
    pods = [await placed(kubelet, run) for run in first]
    old = await team.start(job(NARROW))
    status = await team.job(old, "a", phase="Pending", reason="MachineTypeLimit")
    assert "has 2 places, held by run" in status["message"]
    assert status["message"].endswith("number 1 of 1 in the line")
    urgent = await team.start(job(NARROW), policy={"priority": 5})
    await team.job(urgent, "a", reason="MachineTypeLimit")

    operator.kill()
    operator.start()
    await operator.ready()
    newest = await team.start(job(NARROW), policy={"priority": -5})
    await team.job(newest, "a", reason="MachineTypeLimit")
    runs = (*first, old, urgent, newest)
    for run in (urgent, old, newest):
        await kubelet.run(pods.pop(0))
        pods.append(await placed(kubelet, run))
        assert sum([len(await pods_of(kubelet, each)) for each in runs]) <= 2
    for pod in pods:
        await kubelet.run(pod)
    for run in runs:
        await team.ended(run, "Succeeded")


async def test_more_memory_after_running_out_of_it_also_after_a_restart(
    operator, team, kubelet, narrow
):
    rules = {"outOfMemory": {"retries": 2, "factor": 2, "maxMemory": "3Gi"}}
    run = await team.start(job(NARROW), policy=rules)
    sizes = []
    for attempt in (1, 2, 3):
        pod = await kubelet.pod("a", attempt)
        resources = pod["spec"]["containers"][0]["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        sizes.append(resources["limits"]["memory"])
        await kubelet.start(pod)
        if attempt < 3:
            await kubelet.end(pod, 137, reason="OOMKilled")
            await team.job(run, "a", reason="OutOfMemory", memoryFailures=attempt)
        else:
            await kubelet.end(pod)
        if attempt == 1:
            operator.kill()
            operator.start()
            await operator.ready()
    assert sizes == ["1Gi", "2Gi", "3Gi"]
    status = (await team.ended(run, "Succeeded"))["jobs"]["a"]
    assert (status["memory"], status.get("userFailures")) == ("3072Mi", None)


async def test_an_exit_code_that_is_excepted_ends_the_job(operator, team, kubelet):
    rules = {"retries": 5, "retry": {"notOnExitCodes": [2], "delaySeconds": 0}}
    run = await team.start(job(), policy=rules)
    await kubelet.run(await kubelet.pod("a"), 1)
    await kubelet.run(await kubelet.pod("a", 2), 2)
    status = await team.ended(run, "Failed")
    assert (status["jobs"]["a"]["attempt"], status["jobs"]["a"]["userFailures"]) == (2, 2)


async def test_a_start_that_takes_too_long_is_tried_again(operator, team, kubelet):
    run = await team.start(job(), policy={"timeouts": {"startingMinutes": 0.02}})
    pod = await kubelet.pod("a")
    await kubelet.wait(pod, "ContainerCreating", "")
    await kubelet.obey(pod)
    second = await kubelet.pod("a", 2)
    status = await team.job(run, "a", attempt=2, infraFailures=1)
    assert "userFailures" not in status
    await kubelet.obey(second)


async def test_a_wait_that_takes_too_long_says_for_what(operator, team):
    builder = make_workflow().job("a").on("no-such-machine")
    run = await team.start(builder, policy={"timeouts": {"waitingMinutes": 0.02}})
    status = await team.ended(run, "Failed")
    assert status["jobs"]["a"]["reason"] == "WaitingTooLong"
    assert "'no-such-machine' is not known" in status["message"]


async def test_a_run_that_takes_too_long_is_stopped_and_has_failed(operator, team, kubelet):
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    run = await team.start(builder, policy={"timeouts": {"runMinutes": 0.03}})
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await kubelet.obey(pod)
    status = await team.ended(run, "Failed")
    assert {each["reason"] for each in status["jobs"].values()} == {"RunTimedOut"}
    assert status["message"].startswith("the run took longer than")


async def test_a_pause_lets_run_what_runs_and_the_run_goes_on_where_it_was(operator, team, kubelet):
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    run = await team.start(builder)
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await suspend(team, run, value=True)
    await seen_suspended(team, run)
    await kubelet.end(pod)
    await team.job(run, "b", reason="Suspended")
    operator.kill()
    operator.start()
    await operator.ready()
    assert "suspendedSince" in (await team.run(run))["status"]
    await suspend(team, run, value=False)
    await kubelet.run(await kubelet.pod("b"))
    await team.ended(run, "Succeeded")


async def test_a_run_that_is_suspended_from_the_start_begins_when_it_is_let(operator, team):
    run = await team.start(make_workflow().job("a"), suspend=True)

    async def ask():
        status = (await team.run(run)).get("status", {})
        assert status.get("message", "").startswith("suspended:"), status
        assert "startedAt" not in status

    await eventually(ask)
    await suspend(team, run, value=False)
    await team.ended(run, "Succeeded")


async def suspend(team, run, *, value):
    body = {"spec": {"suspend": value}}
    await team.client.merge_patch(RUNS, body, name=run, namespace=team.namespace)


async def seen_suspended(team, run):
    """Runs and Pods come by two watches: only what happens after this comes after the pause."""

    async def ask():
        assert "suspendedSince" in (await team.run(run)).get("status", {})

    await eventually(ask)


async def test_cancel_gives_the_grace_that_was_asked_for(operator, team, kubelet):
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    spec = {"cancel": True, "cancelGraceSeconds": 600}
    await team.client.merge_patch(RUNS, {"spec": spec}, name=run, namespace=team.namespace)
    deleted = await kubelet.obey(pod)
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 600
    await team.ended(run, "Cancelled")


def wide():
    builder = make_workflow()
    for number in range(MANY):
        builder.job(f"j{number}")
    return builder


async def test_a_large_run_holds_up_neither_a_small_one_nor_its_own_cancellation(operator, team):
    """The order in which the API server was given the Pods is what counts, not the time."""
    operator.terminate()
    listed = await team.client.list_all(PODS, namespace=team.namespace)
    events = team.client.watch(
        PODS, namespace=team.namespace, resource_version=listed.resource_version
    )
    async with contextlib.aclosing(events):
        large = await team.start(wide())
        small = await team.start(make_workflow().job("a"))
        operator.start()
        before = 0
        async for event in events:
            made = event["type"] == "ADDED"
            run = event["object"]["metadata"].get("annotations", {}).get("gradient.run/run")
            if made and run == small:
                break
            before += made and run == large
    assert before <= MANY - LAST
    await team.ended(small, "Succeeded")
    await team.cancel(large)
