"""Runs that a schedule starts: once per time, whatever happens to the operator."""

from datetime import UTC, datetime

import pytest

from gradient_operator.kube.errors import ServerError
from gradient_operator.kube.resources import RUNS
from tests.builders import make_workflow
from tests.unit.controllers.memory_api import Died
from tests.unit.controllers.workflow_cluster import Cluster

HALF_PAST_SIX = {"cron": "30 6 * * *"}


def at(text):
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC).timestamp()


def nightly(*entries, script="true"):
    on = {"schedule": list(entries) or [HALF_PAST_SIX]}
    return make_workflow(on=on).job("a").uses("script@v1", image="bash:5", script=script)


@pytest.fixture
def cluster():
    made = Cluster()
    made.now = at("02-01T00:00")
    return made


async def scheduled(cluster, **policy):
    """A workflow with a schedule that was looked at the day before."""
    cluster.apply(nightly(), **policy)
    await cluster.look()
    cluster.watch()
    return cluster


def times(cluster):
    runs = cluster.api.all(RUNS).values()
    return [run["spec"]["trigger"]["scheduledTime"] for run in runs]


async def test_a_new_file_starts_no_run_and_shows_its_next_time(cluster):
    await scheduled(cluster)
    assert cluster.runs() == []
    assert cluster.status()["schedule"]["next"] == "2026-02-01T06:30:00Z"
    assert cluster.condition("Trigger")["reason"] == "Schedule"


async def test_a_changed_file_alone_starts_none(cluster):
    await scheduled(cluster)
    cluster.apply(nightly(script="other"))
    await cluster.look()
    assert cluster.runs() == []


async def test_at_its_time_one_run_starts(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30")
    for _ in range(3):
        await cluster.look()
        cluster.watch()
    (name,) = cluster.runs()
    run = cluster.api.all(RUNS)[name]
    assert run["spec"]["trigger"] == {"kind": "Schedule", "scheduledTime": "2026-02-01T06:30:00Z"}
    assert cluster.status()["lastRun"]["name"] == name
    schedule = cluster.status()["schedule"]
    assert (schedule["last"], schedule["next"]) == ("2026-02-01T06:30:00Z", "2026-02-02T06:30:00Z")
    assert [reason for reason, _ in cluster.recorder.said] == ["RunStarted"]


async def test_the_operator_sleeps_until_then_but_an_hour_at_most(cluster):
    await scheduled(cluster)
    assert cluster.queue.after == 3_600
    cluster.now = at("02-01T06:29:50")
    await cluster.look()
    assert cluster.queue.after == 10


@pytest.mark.parametrize("lives", range(2))
async def test_a_death_after_any_write_starts_no_second_run(cluster, lives):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30:01")
    cluster.api.lives = lives
    with pytest.raises(Died):
        await cluster.look()
    cluster.api.lives = None
    cluster.restart()
    cluster.watch()
    cluster.now += 30
    await cluster.look()
    assert times(cluster) == ["2026-02-01T06:30:00Z"]
    assert cluster.status()["lastRun"]["name"] == cluster.runs()[0]


async def test_a_second_operator_with_an_old_cache_starts_no_second_run(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30:01")
    stale = dict(cluster.workflows)
    await cluster.look()
    cluster.restart()
    cluster.workflows.update(stale)
    await cluster.look()
    assert len(cluster.runs()) == 1


async def test_a_run_that_was_deleted_is_not_started_again(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30:01")
    await cluster.look()
    cluster.watch()
    cluster.restart()
    del cluster.api.objects["gradientruns", "ns", cluster.runs()[0]]
    await cluster.look()
    assert cluster.runs() == []


async def test_of_missed_times_the_latest_is_made_up_for_and_the_others_are_noted(cluster):
    await scheduled(cluster)
    cluster.restart()
    cluster.now = at("02-03T06:45")
    await cluster.look()
    assert times(cluster) == ["2026-02-03T06:30:00Z"]
    (missed, _) = cluster.recorder.said
    assert missed[0] == "ScheduleMissed"
    assert missed[1].startswith("2 times of its schedule passed while no operator looked, first 20")


async def test_what_is_too_old_is_only_noted(cluster):
    await scheduled(cluster)
    cluster.restart()
    cluster.now = at("02-01T09:00")
    await cluster.look()
    assert cluster.runs() == []
    assert [reason for reason, _ in cluster.recorder.said] == ["ScheduleMissed"]
    assert cluster.status()["schedule"]["next"] == "2026-02-02T06:30:00Z"


async def test_a_run_from_just_before_a_crash_was_not_missed(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30")
    cluster.api.lives = 0
    with pytest.raises(Died):
        await cluster.look()
    cluster.api.lives = None
    cluster.restart()
    cluster.now = at("02-01T12:00")
    await cluster.look()
    assert cluster.recorder.said == []
    assert len(cluster.runs()) == 1


async def test_a_write_that_failed_starts_no_second_run(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:30")
    cluster.api.refusals["patch", "gradientworkflows"] = ServerError("down")
    with pytest.raises(ServerError):
        await cluster.look()
    cluster.api.refusals.clear()
    await cluster.look()
    assert len(cluster.runs()) == 1


async def test_a_changed_schedule_begins_from_now(cluster):
    await scheduled(cluster)
    cluster.now = at("02-01T06:45")
    cluster.apply(nightly({"cron": "0 8 * * *"}))
    await cluster.look()
    assert cluster.runs() == []
    assert cluster.status()["schedule"]["next"] == "2026-02-01T08:00:00Z"


async def test_a_policy_of_manual_stops_it_and_what_passed_meanwhile_is_forgotten(cluster):
    await scheduled(cluster)
    cluster.apply(nightly(), start="Manual")
    await cluster.look()
    assert "schedule" not in cluster.status()
    cluster.now = at("02-01T06:40")
    await cluster.look()
    cluster.apply(nightly(), start="Auto")
    await cluster.look()
    assert cluster.runs() == []
    assert cluster.status()["schedule"]["next"] == "2026-02-02T06:30:00Z"


async def test_a_workflow_that_nobody_looked_at_in_time_is_caught_up_with(cluster):
    cluster.now = at("01-31T12:20")
    cluster.apply(nightly({"cron": "10 12 * * *"}))  # made at 12:00
    await cluster.look()
    assert times(cluster) == ["2026-01-31T12:10:00Z"]


async def test_without_its_schedule_a_changed_file_starts_a_run_again(cluster):
    await scheduled(cluster)
    cluster.apply(make_workflow().job("a"))
    await cluster.look()
    assert len(cluster.runs()) == 1
    assert "schedule" not in cluster.status()


async def test_a_file_with_on_manual_starts_none(cluster):
    cluster.apply(make_workflow(on={"manual": {}}).job("a"))
    await cluster.look()
    assert cluster.runs() == []
    assert cluster.condition("Trigger")["reason"] == "ManualTrigger"
