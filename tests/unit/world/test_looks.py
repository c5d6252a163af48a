"""How often a run is looked at: for what somebody else did, not for what a look itself wrote."""

import pytest

from tests.world.nodes import Fate
from tests.world.stories import chain
from tests.world.world import in_world


def looks(world, controller):
    return sum(
        sample.value
        for metric in world.metrics.reconcile_duration_seconds.collect()
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels["controller"] == controller
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # When it is made, when its Pod has ended, when its end is recorded.
        (0.01, {"run": 3, "status": 1}),
        # Once more, and once more written, to show that it runs.
        (20.0, {"run": 4, "status": 2}),
    ],
)
def test_a_run_of_one_job(folder, seconds, expected):
    async def play(world):
        world.operate("one")
        await world.until(lambda: world.server.all("leases"))
        world.start("r", chain(1))
        await world.settle()
        assert world.status("r")["phase"] == "Succeeded"
        assert {controller: looks(world, controller) for controller in expected} == expected

    in_world(folder, play, fates={("r", "j0", 1): Fate(seconds=seconds)})


def test_a_level_of_a_chain_is_looked_at_once_when_the_one_before_has_ended(folder):
    async def play(world):
        world.operate("one")
        await world.until(lambda: world.server.all("leases"))
        world.start("r", chain(5))
        await world.settle()
        assert len(world.audit.created) == 5
        assert looks(world, "run") == 2 + 5

    fates = {("r", f"j{level}", 1): Fate(seconds=0.01) for level in range(5)}
    in_world(folder, play, fates=fates)
