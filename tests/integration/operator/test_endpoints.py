"""What the operator tells of itself: metrics, health, logs, Events."""

import json

from gradient_operator.kube.resources import EVENTS
from tests.builders import make_workflow
from tests.waiting import eventually


async def test_the_waits_of_a_job_are_told_apart(operator, team):
    run = await team.start(make_workflow().job("a").on("C5").job("b").on("C5").needs("a"))
    await team.ended(run, "Succeeded")

    async def counted():
        assert await operator.metric("job_wait_creation_seconds_count") >= 2
        for wait in ("scheduling", "start"):
            name = f"job_wait_{wait}_seconds_count"
            assert await operator.metric(name, instance_type="C5") >= 2
        ended = {"instance_type": "C5", "result": "Succeeded"}
        assert await operator.metric("job_duration_seconds_count", **ended) >= 2

    await eventually(counted)
    assert await operator.metric("runs", phase="Succeeded") >= 1
    assert await operator.metric("runs_finished_total", result="Succeeded") >= 1
    assert await operator.metric("reaction_seconds_count") >= 2
    assert await operator.metric("reflector_items", resource="pods") >= 2


async def test_it_is_alive_and_ready(operator):
    for path in ("/livez", "/readyz"):
        answer = json.loads(await operator.get(path))
        assert (answer["status"], answer["failed"]) == ("ok", [])


async def test_every_line_of_the_log_is_an_object(operator, team):
    run = await team.start(make_workflow().job("a").on("no-such-machine"))
    await team.job(run, "a", reason="UnknownInstanceType")
    lines = operator.log()
    assert lines
    assert all({"ts", "level", "logger", "msg"} <= set(line) for line in lines)
    await team.cancel(run)


async def test_events_tell_the_story_of_a_run(operator, team):
    run = await team.start(make_workflow().job("a"))
    await team.ended(run, "Succeeded")

    async def told():
        listed = await team.client.list_all(EVENTS, namespace=team.namespace)
        found = {event["reason"] for event in listed.items if event["regarding"].get("name") == run}
        assert {"JobStarted", "JobSucceeded", "RunSucceeded"} <= found

    await eventually(told)
