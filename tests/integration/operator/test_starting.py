"""What starts a run, and what does not."""

import pytest
import yaml

from tests.builders import make_workflow
from tests.integration.operator.team import condition
from tests.waiting import eventually


def job(script="true"):
    return make_workflow().job("a").uses("script@v1", image="bash:5", script=script)


def manifest(name, builder, **policy):
    spec = builder.data() | ({"policy": policy} if policy else {})
    kind = {"apiVersion": "gradient.run/v1alpha1", "kind": "GradientWorkflow"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("server_side", [False, True], ids=["client-side", "server-side"])
async def test_the_same_manifest_applied_twice_starts_one_run(operator, team, kubectl, server_side):
    name = team.name()
    for retries in (0, 0, 3):
        answer = kubectl.apply(manifest(name, job(), retries=retries), server_side=server_side)
        assert answer.code == 0, answer.text
        await team.observed(name)
    await team.started(name, 1)


async def test_each_changed_graph_starts_one_run_and_so_does_the_way_back(operator, team):
    name = team.name()
    for count, script in enumerate(("1", "2", "1"), start=1):
        await team.apply(name, job(script))
        await team.started(name, count)
    scripts = [
        run["spec"]["definition"]["jobs"]["a"]["with"]["script"] for run in await team.runs(name)
    ]
    assert sorted(scripts) == ["1", "1", "2"]


async def test_a_changed_policy_alone_starts_none(operator, team):
    name = team.name()
    await team.apply(name, job())
    first = await team.started(name, 1)
    await team.apply(name, job(), retries=2)
    await team.observed(name)
    assert await team.started(name, 1) == first


async def test_a_bare_on_reaches_the_run_as_on(operator, team, kubectl):
    name = team.name()
    text = yaml.safe_dump(manifest(name, job())).replace(
        "spec:", "spec:\n  on: {github: {branches: {only: main}}}"
    )
    assert "\n  on:" in text
    answer = kubectl("apply", "-f", "-", document=text)
    assert answer.code == 0, answer.text
    (run,) = await team.started(name, 1)
    definition = (await team.run(run))["spec"]["definition"]
    assert definition["on"] == {"github": {"branches": {"only": "main"}}}


async def test_a_workflow_started_by_hand_waits_for_a_hand(operator, team):
    name = team.name()
    await team.apply(name, job(), start="Manual")
    status = await team.observed(name)
    assert condition(status, "Trigger")["reason"] == "Manual"
    assert await team.runs(name) == []


async def test_a_run_that_a_person_makes_runs(operator, team):
    builder = make_workflow(inputs={"s": {"type": "string"}}).job("a")
    run = await team.start(builder.takes("i", "workflow.inputs.s"), inputs={"s": {"value": "x"}})
    await team.ended(run, "Succeeded")


async def test_the_spec_of_a_run_cannot_change_but_for_its_cancel(operator, team, kubectl):
    run = await team.start(job())
    answer = kubectl.patch(f"gwr/{run}", {"spec": {"definition": job("other").data()}})
    assert answer.code != 0
    assert "spec.definition of a run cannot be changed: make a new run" in answer.text
    assert kubectl.patch(f"gwr/{run}", {"spec": {"cancel": True}}).code == 0


async def test_a_run_goes_when_its_workflow_goes(operator, team, kubectl):
    name = team.name()
    await team.apply(name, job())
    await team.started(name, 1)
    assert kubectl("delete", f"gwf/{name}", "--timeout=30s").code == 0

    async def gone():
        assert await team.runs(name) == []

    await eventually(gone)
