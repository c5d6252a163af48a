"""The operator dies at every point of every story, counted and enumerated: the end is the same.

A point is before a request was sent, or after it was done and before the answer was seen; between
two of them nothing of the operator can be seen from outside.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tests.world.stories import STORIES, Story
from tests.world.world import Life, World, in_world

FEWEST_POINTS = 25


@dataclass(frozen=True)
class End:
    points: int
    lives: int
    summary: dict[str, Any]
    violations: list[str]
    log: list[str]


def tell(story: Story, folder, *, die_at: tuple[int, ...] = (), standby: bool = False) -> End:
    """Play a story; process after process dies at its point, the last one lives."""

    async def play(world: World) -> End:
        story.begins(world)
        deaths = iter(die_at)

        def next_life(_: Life | None = None) -> Life:
            identity = f"operator-{len(world.lives)}" if standby else "operator"
            return world.operate(identity, die_at=next(deaths, None))

        first = next_life()
        happening = asyncio.ensure_future(story.happens(world)) if story.happens else None
        while happening is not None and not happening.done():
            await asyncio.sleep(0.25)
            if world.lives[-1].line.dead.is_set():
                next_life()
            assert world.loop.time() < 600, f"nothing more happens in {story}"
        await world.settle(again=next_life)
        log = first.line.log
        return End(
            first.line.points, len(world.lives), world.summary(), world.audit.violations, log
        )

    return in_world(folder, play, fates=dict(story.fates))


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_a_death_at_any_point_changes_nothing(story, folder, record_property):
    wanted = tell(story, folder)
    assert wanted.violations == []
    assert wanted.points > FEWEST_POINTS
    record_property("points", wanted.points)
    print(f"{story}: {wanted.points} points")
    for point in range(1, wanted.points + 1):
        end = tell(story, folder, die_at=(point,), standby=point % 2 == 0)
        where = f"died at point {point}: {end.log[-1]}"
        assert end.violations == [], where
        assert end.summary == wanted.summary, where
