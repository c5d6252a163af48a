"""Whatever people send, they get words, and nobody else's run notices."""

import pytest

from gradient_operator.kube.resources import RUNS
from tests.builders import make_workflow
from tests.integration.api.objects import thing
from tests.integration.operator.team import condition


def gathering(*needs):
    """A job that needs three hundred others, and these."""
    builder = make_workflow()
    for number in range(300):
        builder.job(f"j{number}")
    return builder.job("all").needs(*(f"j{number}" for number in range(300)), *needs)


WRONG = {
    "an unknown need behind those that the API server looks at": (
        gathering("j99", "j300"),
        "'j300' is not a job; did you mean 'j30'?",
    ),
    "a circle": (
        make_workflow().job("a").needs("b").job("b").needs("a"),
        "makes a circle: a needs b needs a",
    ),
    "an unknown key": (make_workflow().job("a", ouputs={}), "did you mean 'outputs'?"),
    "an unknown action": (
        make_workflow().job("a").uses("script@v9", image="bash:5"),
        "'script@v9' is not an action; did you mean 'script@v1'?",
    ),
    "an unknown output": (
        make_workflow().job("a").job("b").needs("a").takes("x", "a.outputs.y"),
        "'y' is not an output of 'a'; it has none",
    ),
    "a wrong form of input": (
        make_workflow().job("a").takes("x", ["a", "b"]),
        "jobs.a.inputs.x: must hold keys and values",
    ),
    "a variable that is none": (make_workflow().job("a").env(**{"A B": "x"}), "is no name for"),
    "a script that no Linux starts": (
        make_workflow().job("a").uses("script@v1", image="bash:5", script="x" * 140_000),
        "put it into a file",
    ),
}


@pytest.fixture
async def others_go_on(operator, team):
    """Somebody else's run, before and after."""
    pid = operator.log()[0]["ts"]
    yield
    run = await team.start(make_workflow().job("a"))
    await team.ended(run, "Succeeded")
    assert operator.running
    assert operator.log()[0]["ts"] == pid, "the operator was started anew"


@pytest.mark.parametrize(("builder", "words"), WRONG.values(), ids=WRONG)
async def test_a_wrong_workflow_is_not_accepted_in_words(others_go_on, team, builder, words):
    name = team.name()
    await team.apply(name, builder)
    status = await team.observed(name)
    accepted = condition(status, "Accepted")
    assert (accepted["status"], words in accepted["message"]) == ("False", True), accepted
    assert await team.runs(name) == []


@pytest.mark.parametrize(("builder", "words"), WRONG.values(), ids=WRONG)
async def test_a_wrong_run_ends_in_words(others_go_on, team, builder, words):
    status = await team.ended(await team.start(builder), "Failed")
    assert words in status["message"]
    assert condition(status, "Accepted")["status"] == "False"


async def test_a_run_whose_policy_speaks_of_no_job_ends_in_words(operator, team):
    policy = {"jobs": {"trian": {"reuse": True}}}
    run = await team.start(make_workflow().job("train"), policy=policy)
    status = await team.ended(run, "Failed")
    assert "policy.jobs.trian: is not a job of the file; did you mean 'train'?" in status["message"]


def jobs(count):
    builder = make_workflow()
    for number in range(count):
        builder.job(f"j{number}")
    return builder.data()


REFUSED = {
    "ten thousand jobs": jobs(10_000),
    "a mebibyte of script": make_workflow()
    .job("a").uses("script@v1", image="bash:5", script="x" * 1_048_576).data(),
    "no mapping": {"jobs": ["a", "b"]},
    "wrong types everywhere": {"jobs": {"a": {"needs": "b", "env": {"A": 1}, "with": []}}},
    "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["GradientWorkflow", "GradientRun"])
@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
async def test_what_is_out_of_all_bounds_is_refused_at_the_door(others_go_on, kubectl, kind, data):
    spec = data if kind == "GradientWorkflow" else {"definition": data}
    answer = kubectl.create(thing(kind, "refused", spec))
    assert answer.code != 0
    assert "refused" in answer.text


async def test_the_largest_file_that_is_taken_runs_or_is_refused_in_words(others_go_on, team):
    builder = make_workflow()
    for number in range(1_500):
        builder.job(f"j{number}").uses("script@v1", image="bash:5", script="x" * 330)
    name = team.name()
    await team.apply(name, builder)
    status = await team.observed(name)
    accepted = condition(status, "Accepted")
    assert accepted["status"] == "False"
    assert "split the workflow" in accepted["message"]


async def test_a_fault_in_one_run_is_kept_there(operator, team):
    """Somebody has written into its status: a volume that lies on a claim without a name."""
    operator.kill()
    builder = make_workflow().job("a").makes("v", "volume").job("b").needs("a")
    run = await team.start(builder.takes("v", "a.outputs.v"))
    status = {
        "phase": "Running",
        "startedAt": "2026-01-31T12:00:00Z",
        "volumes": {"a.v": {"mode": "ReadWriteOnce", "reason": "none"}},
        "jobs": {"a": {"phase": "Succeeded", "attempt": 1}},
    }
    await team.client.merge_patch(
        RUNS, {"status": status}, name=run, namespace=team.namespace, subresource="status"
    )
    operator.start()
    fault = await operator.says("cannot reconcile")
    assert (fault["level"], fault["key"]) == ("error", f"run/{team.namespace}/{run}")
    other = await team.start(make_workflow().job("a"))
    await team.ended(other, "Succeeded")
    assert operator.running
    await team.delete(run)
