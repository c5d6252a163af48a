"""What it costs to have a leader and one that waits, and how long nobody leads after a crash."""

import asyncio

import pytest

from gradient_operator.controllers.operator import QUIET_SECONDS
from tests.world.nodes import Fate
from tests.world.stories import chain
from tests.world.world import in_world

FOR_EVER = Fate(seconds=3_000.0)
TAKEN_OVER = 20.0
"""Seconds from the death of the leader to the first Pod that the other one makes."""


def renewals(world):
    lease = world.server.objects.get(("leases", "op", "gradient-operator"), {})
    return lease.get("spec", {}).get("renewTime")


@pytest.mark.parametrize("later", [0.0, 6.0, 11.5])
def test_a_crash_is_made_good_in_time_whenever_it_comes(folder, later):
    async def play(world):
        leader = world.operate("one")
        await world.until(lambda: renewals(world))
        world.operate("two")
        await asyncio.sleep(2 * QUIET_SECONDS)  # from here on it renews late
        before = renewals(world)
        await world.until(lambda: renewals(world) != before)
        await asyncio.sleep(later)
        leader.line.die()
        died = world.loop.time()
        world.start("r", chain(1))
        await world.until(lambda: world.audit.created)
        assert world.audit.violations == []
        return world.loop.time() - died

    assert in_world(folder, play) < TAKEN_OVER - later


def test_idle_operators_send_five_requests_in_a_minute_at_the_most(folder):
    async def play(world):
        world.start("r", chain(2))
        lives = [world.operate("one"), world.operate("two")]
        await world.until(lambda: world.job("r", "j0").get("phase") == "Running")
        await asyncio.sleep(60.0)
        sent = {life.line.by: [] for life in lives}

        def note(call, by):
            if "watch" not in call.query:
                sent[by].append(f"{call.method} {call.path}")

        for life in lives:
            life.line.troubles.fault = lambda call, by=life.line.by: note(call, by)
        await asyncio.sleep(600.0)
        return sent

    sent = in_world(folder, play, fates={("r", "j0", 1): FOR_EVER})
    assert len(sent["one"]) / 10 <= 5, sent["one"]
    assert sent["two"] == []
