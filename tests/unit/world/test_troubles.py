"""One trouble at a time, chosen: late news, a leader that is cut off, clocks that jump, namesakes.

And fairness: what happens to one run is no other run's business.
"""

import asyncio

import pytest

from gradient_operator.controllers import run_apply
from gradient_operator.kube.errors import Forbidden, Gone, ServerError
from tests.world.line import Fault, Troubles
from tests.world.nodes import Fate
from tests.world.stories import chain, fan
from tests.world.world import in_world

LONG = Fate(seconds=60.0)
TURN, WORKERS, WIDTH = 5, 2, 40


def succeeded(world, run="r", attempt=1):
    status = world.status(run)
    assert status["phase"] == "Succeeded", status
    assert {job["attempt"] for job in status["jobs"].values()} == {attempt}
    assert world.audit.violations == []


def running(world, run="r", job="j0"):
    return lambda: world.job(run, job).get("phase") == "Running"


def test_a_standby_whose_news_are_late_makes_nothing_again(folder):
    async def play(world):
        leader = world.operate("one")
        standby = world.operate("two")
        standby.line.troubles.delay = lambda _: 40.0
        await world.until(lambda: world.server.all("leases"))
        world.start("r", chain(2))
        await world.until(running(world))
        leader.line.die()
        await world.settle()
        succeeded(world)
        assert len(world.audit.created) == 2

    in_world(folder, play, fates={("r", "j0", 1): LONG})


def test_a_leader_that_was_cut_off_writes_nothing_when_it_is_back(folder):
    async def play(world):
        world.start("r", chain(3))
        leader = world.operate("one")
        await world.until(running(world))
        leader.line.troubles.refusing = True
        leader.line.cut()
        world.operate("two")
        await world.until(running(world, job="j1"))
        leader.line.troubles.refusing = False
        await world.settle()
        succeeded(world)

    fates = {("r", "j0", 1): Fate(seconds=3.0), ("r", "j1", 1): LONG}
    in_world(folder, play, fates=fates)


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_jump_of_the_wall_clock_loses_neither_lease_nor_attempt(folder, seconds):
    async def play(world):
        world.start("r", chain(2), policy={"retries": 1})
        leader = world.operate("one")
        await world.until(running(world))
        world.loop.jump = seconds
        await world.settle()
        assert not world.audit.ends
        assert [life is leader for life in world.lives] == [True]
        assert world.status("r")["phase"] == "Succeeded"
        assert world.audit.violations == []
        return world.loop.time()

    fates = {("r", "j0", 1): Fate(seconds=5.0), ("r", "j1", 1): Fate(code=1)}
    assert in_world(folder, play, fates=fates) < 120.0


def test_a_watch_that_falls_silent_is_opened_again(folder):
    async def play(world):
        leader = world.operate("one")
        world.start("r", chain(2))
        await world.until(running(world))
        leader.line.silence()
        await world.settle()
        succeeded(world)

    in_world(folder, play, fates={("r", "j0", 1): Fate(seconds=10.0)})


@pytest.mark.parametrize("way", ["error", "status"])
def test_a_watch_that_is_too_old_begins_again(folder, way):
    async def play(world):
        leader = world.operate("one")
        world.start("r", chain(2))
        await world.until(running(world))
        world.server.compact()
        if way == "error":
            leader.line.end_with(Gone("too old", reason="Expired"))
        else:
            leader.line.cut()
        await world.settle()
        succeeded(world)

    in_world(folder, play, fates={("r", "j0", 1): Fate(seconds=3.0)})


def test_a_run_made_anew_under_the_name_of_a_deleted_one_runs(folder):
    """It comes while the end of the old one is on its way to the server."""

    async def play(world):
        leader = world.operate("one")
        on_its_way = asyncio.Event()

        def fault(call):
            if call.path.endswith("gradientruns/r/status") and b"Succeeded" in call.body:
                on_its_way.set()
                return Fault(slow=3.0)
            return None

        leader.line.troubles.fault = fault
        world.start("r", chain(1))
        await on_its_way.wait()
        leader.line.troubles = Troubles()
        world.delete("run", "r")
        world.start("r", fan(2))
        await world.settle()
        succeeded(world)
        assert set(world.status("r")["jobs"]) == {"first", "m0", "m1", "last"}

    in_world(folder, play, fates={("r", "first", 1): Fate(seconds=10.0)})


def test_the_end_of_a_run_is_told_once_though_its_write_is_not_heard_of(folder):
    """By the time the server takes writes again, the watch has long said what became of it."""

    async def play(world):
        leader = world.operate("one")
        tries = []

        def fault(call):
            if call.path.endswith("gradientruns/r/status") and b"Succeeded" in call.body:
                tries.append(world.loop.time())
                if tries[-1] - tries[0] < 30.0:
                    done = world.status("r").get("phase") != "Succeeded"
                    return Fault(ServerError("the answer was lost"), done=done)
            return None

        leader.line.troubles.fault = fault
        world.start("r", chain(1))
        await world.settle()
        succeeded(world)
        assert len(tries) > 1
        told = [event for event in world.server.all("events") if event["reason"] == "RunSucceeded"]
        assert len(told) == 1
        name = "gradient_operator_runs_finished_total"
        assert world.metrics.registry.get_sample_value(name, {"result": "Succeeded"}) == 1

    in_world(folder, play)


@pytest.mark.parametrize(
    "fault",
    [
        lambda: Fault(Forbidden("exceeded quota")),
        lambda: Fault(ServerError("webhook failed")),
        lambda: Fault(ServerError("slow webhook"), slow=10.0),
    ],
    ids=["forbidden", "broken", "slow"],
)
def test_what_fails_for_one_run_delays_no_other(folder, fault):
    """200 jobs whose Pods the API server refuses, beside a chain of three."""

    def ended_at(*, disturbed):
        async def play(world):
            leader = world.operate("one")
            if disturbed:
                world.start("bad", fan(200))
                leader.line.troubles.fault = lambda call: (
                    fault() if call.method == "POST" and b"bad-m" in (call.body or b"") else None
                )
                await world.until(lambda: world.job("bad", "first").get("phase") == "Succeeded")
            begins = world.loop.time()
            world.start("good", chain())
            await world.until(lambda: world.status("good").get("phase") == "Succeeded")
            assert world.audit.violations == []
            assert world.status("bad").get("phase") in (None, "Running")
            return world.loop.time() - begins

        return in_world(folder, play)

    alone, beside = ended_at(disturbed=False), ended_at(disturbed=True)
    print(f"{alone:.2f} s alone, {beside:.2f} s beside a run that fails")
    assert beside < alone + 1.5  # in the time of the world, which no machine is too slow for


def test_large_runs_that_hold_all_workers_give_way_to_a_small_one(folder, monkeypatch):
    """Counted in Pods: those of one turn of each worker come before that of the small run."""
    monkeypatch.setattr(run_apply, "PODS_IN_A_TURN", TURN)

    async def play(world):
        world.operate("one")
        for number in range(WORKERS + 1):
            world.start(f"large-{number}", fan(WIDTH))
        await world.until(lambda: len(world.audit.created) > WORKERS + 1)
        before = len(world.audit.created)
        world.start("small", chain(1))
        await world.until(lambda: ("small", "j0", 1) in world.audit.created)
        assert len(world.audit.created) - before <= (WORKERS + 1) * TURN
        await world.settle()
        for run in world.runs():
            succeeded(world, run["metadata"]["name"])

    in_world(folder, play, workers=WORKERS)
