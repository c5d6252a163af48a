"""Schedules and manual inputs, with the real operator and real time."""

from datetime import UTC, datetime, timedelta

from gradient_operator.kube.resources import WORKFLOWS
from tests.builders import make_workflow
from tests.integration.operator.team import condition
from tests.waiting import eventually


def job(*schedules, script="true"):
    builder = make_workflow(on={"schedule": list(schedules)})
    return builder.job("a").uses("script@v1", image="bash:5", script=script)


async def promised(team, name):
    """Wait until the status says when the next run starts."""

    async def ask():
        schedule = (await team.observed(name)).get("schedule", {})
        assert "next" in schedule
        return schedule

    return await eventually(ask)


async def pretend_promise(team, client, name, time):
    """As if the operator had promised this time before it was stopped."""
    found = await promised(team, name)
    patch = {"status": {"schedule": {**found, "next": time.strftime("%Y-%m-%dT%H:%M:%SZ")}}}
    await client.merge_patch(
        WORKFLOWS, patch, name=name, namespace=team.namespace, subresource="status"
    )


async def test_a_schedule_starts_a_run_when_its_time_comes(operator, team):
    name = team.name()
    await team.apply(name, job({"cron": "* * * * *"}))
    first = (await promised(team, name))["next"]

    async def ask():
        runs = await team.runs(name)
        assert runs, "no run was started"
        return runs

    (run, *_) = await eventually(ask, seconds=90)
    assert run["spec"]["trigger"] == {"kind": "Schedule", "scheduledTime": first}
    await team.apply(name, job({"cron": "0 0 1 1 *"}))


async def test_a_changed_file_with_a_schedule_starts_no_run(operator, team):
    name = team.name()
    for script in ("1", "2"):
        await team.apply(name, job({"cron": "0 0 1 1 *"}, script=script))
        status = await team.observed(name)
        assert condition(status, "Trigger")["reason"] == "Schedule"
    assert await team.runs(name) == []


async def test_a_time_that_passed_while_no_operator_looked_is_made_up_for_once(
    operator, team, client
):
    name = team.name()
    time = datetime.now(UTC).replace(second=0, microsecond=0)
    await team.apply(name, job({"cron": f"{time.minute} {time.hour} * * *"}))
    await promised(team, name)
    operator.kill()
    await pretend_promise(team, client, name, time)
    for _ in range(2):
        operator.start()
        await operator.ready()
        (run,) = await team.started(name, 1)
        operator.kill()
    spec = (await team.run(run))["spec"]
    assert spec["trigger"]["scheduledTime"] == time.strftime("%Y-%m-%dT%H:%M:%SZ")
    operator.start()
    await operator.ready()


async def test_two_operators_start_one_run_for_a_time(operator, team, client):
    name = team.name()
    time = datetime.now(UTC).replace(second=0, microsecond=0)
    await team.apply(name, job({"cron": f"{time.minute} {time.hour} * * *"}))
    await promised(team, name)
    operator.kill()
    await pretend_promise(team, client, name, time)
    operator.start()
    await operator.ready()
    await team.started(name, 1)
    operator.kill()
    await pretend_promise(team, client, name, time)  # the other one has heard of nothing
    operator.start()
    await operator.ready()

    async def ask():
        schedule = (await team.observed(name))["schedule"]
        assert schedule["next"] > time.strftime("%Y-%m-%dT%H:%M:%SZ")

    await eventually(ask)
    await team.started(name, 1)


async def test_times_that_were_missed_are_noted(operator, team, client, kubectl):
    name = team.name()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    hour = (now - timedelta(hours=3)).hour
    await team.apply(name, job({"cron": f"{now.minute} {hour} * * *"}))
    await promised(team, name)
    operator.kill()
    await pretend_promise(team, client, name, now - timedelta(hours=3))
    operator.start()
    await operator.ready()

    async def ask():
        said = kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").text
        assert "ScheduleMissed" in said

    await eventually(ask)
    assert await team.runs(name) == []


async def test_what_on_manual_asks_for_is_checked_on_runs_made_by_hand(operator, team):
    asked = {"size": {"type": "choice", "options": ["small", "large"], "required": True}}
    builder = make_workflow(on={"manual": {"inputs": asked}})
    builder.job("a").takes("size", "workflow.inputs.size")

    wrong = await team.start(builder, inputs={"size": {"value": "huge"}})
    status = await team.ended(wrong, "Failed")
    assert "inputs.size: is 'huge', but must be one of small, large" in status["message"]
    missing = await team.start(builder)
    status = await team.ended(missing, "Failed")
    assert "on.manual.inputs.size: is asked for and was not given" in status["message"]
    right = await team.start(builder, inputs={"size": {"value": "small"}})
    await team.ended(right, "Succeeded")


async def test_a_file_with_on_manual_starts_no_run_by_itself(operator, team):
    name = team.name()
    await team.apply(name, make_workflow(on={"manual": {}}).job("a"))
    assert condition(await team.observed(name), "Trigger")["reason"] == "ManualTrigger"
    assert await team.runs(name) == []
