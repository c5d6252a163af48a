"""When a definition starts a run, and what its status says."""

import pytest

from gradient_operator.controllers.services import NotLeading
from gradient_operator.kube.errors import ServerError
from gradient_operator.kube.resources import RUNS, WORKFLOWS
from gradient_operator.workflow.check import MAX_BYTES
from tests.builders import make_workflow
from tests.unit.controllers.memory_api import Died
from tests.unit.controllers.workflow_cluster import KEY, Cluster


@pytest.fixture
def cluster():
    return Cluster()


def job(script="true"):
    return make_workflow().job("a").uses("script@v1", image="bash:5", script=script)


async def test_a_new_definition_starts_one_run(cluster):
    cluster.apply(job())
    for _ in range(3):
        await cluster.look()
        cluster.watch()
    assert len(cluster.runs()) == 1
    run = cluster.api.all(RUNS)[cluster.runs()[0]]
    assert run["spec"]["definition"] == job().data()
    assert run["spec"]["workflow"] == "train"
    owner = run["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["controller"]) == ("GradientWorkflow", True)
    assert cluster.status()["lastRun"]["name"] == cluster.runs()[0]


async def test_a_stale_cache_starts_no_second_run(cluster):
    cluster.apply(job())
    stale = dict(cluster.workflows)
    await cluster.look()
    cluster.workflows.update(stale)
    await cluster.look()
    assert len(cluster.runs()) == 1


@pytest.mark.parametrize("lives", range(2))
async def test_a_death_after_any_write_starts_no_second_run(cluster, lives):
    cluster.apply(job())
    cluster.api.lives = lives
    with pytest.raises(Died):
        await cluster.look()
    cluster.api.lives = None
    cluster.restart()
    cluster.watch()
    await cluster.look()
    assert len(cluster.runs()) == 1
    assert cluster.status()["lastRun"]["name"] == cluster.runs()[0]


async def test_a_changed_graph_starts_one_more_and_so_does_the_way_back(cluster):
    for script in ("1", "2", "1"):
        cluster.apply(job(script))
        await cluster.look()
    scripts = [
        run["spec"]["definition"]["jobs"]["a"]["with"]["script"]
        for run in cluster.api.all(RUNS).values()
    ]
    assert scripts == ["1", "2", "1"]


async def test_a_changed_policy_starts_none(cluster):
    for retries in (0, 1, 2):
        cluster.apply(job(), retries=retries)
        await cluster.look()
    assert len(cluster.runs()) == 1


async def test_a_workflow_that_is_run_by_hand_starts_none(cluster):
    cluster.apply(job(), start="Manual")
    await cluster.look()
    assert cluster.runs() == []
    trigger = cluster.condition("Trigger")
    assert (trigger["reason"], trigger["message"]) == (
        "Manual",
        "runs are started by hand: gradient run NAME",
    )


async def test_nor_does_the_change_to_automatic_alone(cluster):
    cluster.apply(job(), start="Manual")
    await cluster.look()
    cluster.apply(job(), start="Auto")
    await cluster.look()
    assert cluster.runs() == []
    cluster.apply(job("other"), start="Auto")
    await cluster.look()
    assert len(cluster.runs()) == 1


async def test_a_workflow_that_needs_values_waits_for_a_person(cluster):
    inputs = {"data": {"type": "dataset"}}
    cluster.apply(make_workflow(inputs=inputs).job("a").takes("d", "workflow.inputs.data"))
    await cluster.look()
    assert cluster.runs() == []
    trigger = cluster.condition("Trigger")
    assert (trigger["reason"], trigger["message"]) == (
        "InputsNeeded",
        "a run needs a value for data: gradient run NAME --input data=VALUE",
    )


async def test_a_wrong_definition_is_refused_in_words_and_starts_nothing(cluster):
    cluster.apply(make_workflow().job("a").needs("b"))
    await cluster.look()
    accepted = cluster.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "UnknownNeed")
    assert accepted["message"] == "jobs.a.needs.0: 'b' is not a job; there are a"
    assert cluster.condition("Stalled")["status"] == "True"
    assert cluster.runs() == []


async def test_a_definition_that_was_mended_starts(cluster):
    cluster.apply(make_workflow().job("a").needs("b"))
    await cluster.look()
    cluster.apply(job())
    await cluster.look()
    assert len(cluster.runs()) == 1
    assert cluster.condition("Accepted")["status"] == "True"
    assert "Stalled" not in {item["type"] for item in cluster.status()["conditions"]}


async def test_a_mistake_in_between_starts_nothing_new(cluster):
    for builder in (job(), make_workflow().job("a").needs("b"), job()):
        cluster.apply(builder)
        await cluster.look()
    assert len(cluster.runs()) == 1


async def test_many_problems_are_counted(cluster):
    cluster.apply(make_workflow().job("a").needs(*"bcdefgh"))
    await cluster.look()
    assert cluster.condition("Accepted")["message"].endswith("; and 2 more")


async def test_a_definition_that_fits_into_no_run_is_refused(cluster):
    cluster.apply(job("x" * MAX_BYTES))
    await cluster.look()
    accepted = cluster.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "TooLarge")
    assert "split the workflow" in accepted["message"]


async def test_warnings_are_shown_and_hinder_nothing(cluster):
    builder = make_workflow().job("b").makes("v", "volume").job("a").takes("v", "b.outputs.v")
    cluster.apply(builder)
    await cluster.look()
    accepted = cluster.condition("Accepted")
    assert (accepted["status"], "taken as a need" in accepted["message"]) == ("True", True)
    assert len(cluster.runs()) == 1


async def test_a_bare_on_is_the_same_definition(cluster):
    on = {"github": {"branches": {"only": "main"}}}
    for key in ("on", "true"):
        builder = job()
        builder.top = {key: on}
        cluster.apply(builder)
        await cluster.look()
    assert len(cluster.runs()) == 1
    run = cluster.api.all(RUNS)[cluster.runs()[0]]
    assert run["spec"]["definition"]["on"] == on


async def test_the_phase_of_the_last_run_is_shown(cluster):
    cluster.apply(job())
    await cluster.look()
    cluster.api.all(RUNS)[cluster.runs()[0]]["status"] = {"phase": "Failed"}
    await cluster.look()
    assert cluster.status()["lastRun"] == {"name": cluster.runs()[0], "phase": "Failed"}


async def test_a_write_that_failed_is_made_good(cluster):
    cluster.apply(job())
    cluster.api.refusals["patch", "gradientworkflows"] = ServerError("down")
    with pytest.raises(ServerError):
        await cluster.look()
    cluster.api.refusals.clear()
    await cluster.look()
    assert len(cluster.runs()) == 1
    assert cluster.status()["lastRun"]["name"] == cluster.runs()[0]


async def test_a_look_without_news_writes_nothing(cluster):
    cluster.apply(job())
    await cluster.look()
    before = list(cluster.api.writes)
    cluster.watch()
    await cluster.look()
    assert cluster.api.writes == before


async def test_a_workflow_made_anew_under_its_name_starts_a_run_of_its_own(cluster):
    cluster.apply(job())
    await cluster.look()
    del cluster.api.objects["gradientworkflows", "ns", "train"]
    cluster.workflows.clear()
    await cluster.controller.reconcile(KEY)
    cluster.apply(job())
    await cluster.look()
    assert len(cluster.runs()) == 2


async def test_who_does_not_lead_writes_nothing(cluster):
    cluster.apply(job())
    cluster.leading = False
    with pytest.raises(NotLeading):
        await cluster.look()
    assert cluster.api.writes == []


async def test_a_suspended_workflow_starts_nothing_until_it_goes_on_and_then_what_it_says(cluster):
    cluster.apply(job("first"))
    await cluster.look()
    assert len(cluster.runs()) == 1
    for script in ("second", "third"):
        cluster.apply(job(script))
        cluster.api.all(WORKFLOWS)["train"]["spec"]["suspend"] = True
        cluster.watch()
        await cluster.look()
    assert len(cluster.runs()) == 1
    assert cluster.condition("Trigger")["reason"] == "Suspended"
    cluster.apply(job("third"))
    await cluster.look()
    runs = [cluster.api.all(RUNS)[name] for name in cluster.runs()]
    assert [run["spec"]["definition"] for run in runs[1:]] == [job("third").data()]
