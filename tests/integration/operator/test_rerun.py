"""A run is done again from where it failed, on the real API server."""

from gradient_operator.cli.cluster import Cluster
from gradient_operator.cli.rerun import Request, start_again
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.team import condition


async def again(team, client, run, **how):
    return await start_again(Cluster(client, team.namespace), Request(run=run, **how))


async def test_what_succeeded_is_taken_over_and_the_rest_runs(operator, team, client, kubelet):
    builder = make_workflow().job("a").on(MACHINE).job("b").on(MACHINE).needs("a")
    first = await team.start(builder.job("c").needs("b"))
    await kubelet.run(await kubelet.pod("a"))
    await kubelet.run(await kubelet.pod("b"), 3)
    await team.ended(first, "Failed")
    await kubelet.begin()

    name = team.name("again")
    for _ in range(2):
        assert await again(team, client, first, failed=True, name=name) == name
    await kubelet.run(await kubelet.pod("b"))
    status = await team.ended(name, "Succeeded")
    assert await kubelet.pods("a") == []
    assert status["jobs"]["a"]["source"] == f"{first}/a"
    assert status["jobs"]["a"]["reason"] == "Adopted"
    assert "source" not in status["jobs"]["b"]

    # What was taken over is part of the new run: that the first one goes changes nothing.
    await team.delete(first)
    third = await again(team, client, name, failed=True, again=("c",))
    assert (await team.ended(third, "Succeeded"))["jobs"]["a"]["source"] == f"{first}/a"
    assert [pod["metadata"]["labels"]["gradient.run/run"] for pod in await kubelet.pods("b")] == [
        name
    ]


async def test_all_of_it_runs_again(operator, team, client):
    first = await team.start(make_workflow().job("a"))
    await team.ended(first, "Succeeded")
    second = await again(team, client, first)
    status = await team.ended(second, "Succeeded")
    assert "source" not in status["jobs"]["a"]


async def test_without_the_run_before_the_rerun_is_refused(operator, team):
    run = await team.start(make_workflow().job("a"), rerunOf={"name": "never-was"})
    status = await team.ended(run, "Failed")
    assert condition(status, "Accepted")["reason"] == "RerunParentGone"


PINNED = f"bash@sha256:{'ab' * 32}"


async def test_a_result_is_reused_until_its_job_changes(operator, team, kubelet):
    def builder(script):
        made = make_workflow().job("a").uses("script@v1", image=PINNED, script="make").on(MACHINE)
        return made.job("b").uses("script@v1", image=PINNED, script=script).on(MACHINE).needs("a")

    policy = {"reuse": True}
    first = await team.start(builder("false"), policy=policy)
    await kubelet.run(await kubelet.pod("a"))
    await kubelet.run(await kubelet.pod("b"), 1)
    await team.ended(first, "Failed")
    await kubelet.begin()

    # The job that failed was mended: the other one need not run again.
    second = await team.start(builder("true"), policy=policy)
    await kubelet.run(await kubelet.pod("b"))
    status = await team.ended(second, "Succeeded")
    assert await kubelet.pods("a") == []
    assert status["jobs"]["a"]["source"] == f"{first}/a"
    assert status["jobs"]["a"]["message"].startswith(f"reused from {first}/a: same spec")

    third = await team.start(builder("true"), policy=policy)
    status = await team.ended(third, "Succeeded")
    assert {name: job["source"] for name, job in status["jobs"].items()} == {
        "a": f"{first}/a",
        "b": f"{second}/b",
    }

    await kubelet.begin()
    off = await team.start(builder("true"))
    await kubelet.run(await kubelet.pod("a"))
    await kubelet.run(await kubelet.pod("b"))
    await team.ended(off, "Succeeded")
