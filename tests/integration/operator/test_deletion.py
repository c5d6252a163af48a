"""Runs and Pods that are deleted: nothing is left behind, nothing hangs."""

from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE, running
from tests.waiting import eventually


async def test_a_deleted_run_takes_its_pods_along(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    await team.delete(run)
    await kubelet.obey(pod)
    await kubelet.gone(pod)


async def test_a_run_deleted_in_the_foreground_waits_for_its_pods_alone(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    await team.delete(run, propagation="Foreground")
    await kubelet.obey(pod)
    await kubelet.gone(pod)

    async def gone():
        names = {item["metadata"]["name"] for item in await team.runs("")}
        assert run not in names

    await eventually(gone)


async def test_a_run_deleted_while_nobody_looks_leaves_nothing_behind(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    operator.kill()
    await team.delete(run)
    await kubelet.obey(pod)
    assert len(await kubelet.pods("a")) == 1, "the finalizer waits for the operator"
    operator.start()
    await kubelet.gone(pod)


async def test_a_run_made_anew_under_its_name_has_pods_of_its_own(operator, team, kubelet):
    builder = make_workflow().job("a").on(MACHINE)
    run, first = await running(team, kubelet)
    await team.delete(run)
    await team.start(builder, name=run)
    await kubelet.obey(first)
    await kubelet.gone(first)
    second = await kubelet.pod("a")
    assert second["metadata"]["name"] != first["metadata"]["name"]
    await kubelet.run(second)
    await team.ended(run, "Succeeded")


async def test_a_finished_run_can_be_deleted_without_the_operator(operator, team, kubelet):
    run, pod = await running(team, kubelet)
    await kubelet.end(pod)
    await team.ended(run, "Succeeded")
    await kubelet.released(pod)
    operator.kill()
    await team.delete(run)
    await kubelet.gone(pod)


async def test_a_finished_pod_of_a_run_under_way_can_be_deleted(operator, team, kubelet):
    builder = make_workflow().job("ends").on(MACHINE).job("goes-on").on(MACHINE)
    run = await team.start(builder)
    ends, goes_on = await kubelet.pod("ends"), await kubelet.pod("goes-on")
    await kubelet.start(goes_on)
    await kubelet.run(ends)
    await team.job(run, "ends", phase="Succeeded")
    await kubelet.remove(ends)
    await kubelet.gone(ends)
    assert (await team.job(run, "ends", phase="Succeeded"))["attempt"] == 1
    await kubelet.end(goes_on)
    await team.ended(run, "Succeeded")
    await kubelet.released(goes_on)
