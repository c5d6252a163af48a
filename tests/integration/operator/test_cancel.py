"""Cancelling: what runs is stopped, what waits never starts, what has ended stays."""

from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.team import condition


def chain():
    builder = make_workflow().job("done").on(MACHINE).job("runs").on(MACHINE).needs("done")
    return builder.job("waits").on(MACHINE).needs("runs")


async def test_a_cancelled_run_stops_what_runs_and_starts_nothing(operator, team, kubelet):
    run = await team.start(chain())
    await kubelet.run(await kubelet.pod("done"))
    pod = await kubelet.pod("runs")
    await kubelet.start(pod)
    await team.job(run, "runs", phase="Running")
    await team.cancel(run)
    deleted = await kubelet.obey(pod)
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30
    status = await team.ended(run, "Cancelled")
    phases = {name: job["phase"] for name, job in status["jobs"].items()}
    assert phases == {"done": "Succeeded", "runs": "Cancelled", "waits": "Cancelled"}
    assert condition(status, "Succeeded")["reason"] == "Cancelled"
    await kubelet.gone(pod)
    assert await kubelet.pods("waits") == []


async def test_a_job_without_a_machine_is_cancelled_at_once(operator, team):
    run = await team.start(make_workflow().job("a").on("no-such-machine"))
    await team.job(run, "a", reason="UnknownInstanceType")
    await team.cancel(run)
    status = await team.ended(run, "Cancelled")
    assert status["jobs"]["a"]["phase"] == "Cancelled"


async def test_a_pod_that_no_node_takes_is_cancelled_at_once(operator, team, kubelet, client):
    # The manual node of the GPU pool has eight GPUs; the first job holds them all.
    builder = make_workflow().job("first").on(MACHINE)
    run = await team.start(builder)
    pod = await kubelet.pod("first")
    await kubelet.wait(pod, "ImagePullBackOff", "no such image")
    await team.job(run, "first", reason="ImagePullFailed")
    await team.cancel(run)
    await kubelet.obey(pod)
    status = await team.ended(run, "Cancelled")
    assert status["jobs"]["first"]["phase"] == "Cancelled"
    await kubelet.gone(pod)


async def test_a_retry_that_waits_for_its_time_is_cancelled_at_once(operator, team, kubelet):
    run = await team.start(make_workflow().job("a").on(MACHINE))
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await kubelet.evict(pod)
    await team.job(run, "a", phase="Pending", reason="Evicted")
    await team.cancel(run)
    await team.ended(run, "Cancelled")
    assert len(await kubelet.pods("a")) == 1


async def test_cancelling_what_has_ended_changes_nothing(operator, team):
    run = await team.start(make_workflow().job("a"))
    before = await team.ended(run, "Succeeded")
    await team.cancel(run)
    other = await team.start(make_workflow().job("a"))
    await team.ended(other, "Succeeded")
    assert (await team.run(run))["status"] == before
