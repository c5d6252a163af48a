"""Who gets the next place of a limit: by priority, then by age of the run, then in its order.

A job needs a place in each pool that it counts in: its namespace, its machine type. All of them are
given at once or none, so that nobody holds one place while waiting for another.

Jobs of one line need the same places, so that only its first decides. The first job that waits for
a pool has a place kept for it in its other pools as they become free: it cannot be starved by jobs
behind it that need less, and at most one place per full pool stands empty for that.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Rank = tuple[int, float, str, str]
"""Minus the priority, when the run was made, its namespace and name: smaller comes first."""


class Pool(NamedTuple):
    """What has a limit: the jobs of a namespace, or of a machine type in the whole cluster."""

    kind: Literal["namespace", "machine"]
    name: str


@dataclass(slots=True)
class Wishes:
    """The jobs of one run that wait for the same places, in the order in which they start."""

    rank: Rank
    run: tuple[str, str]
    pools: tuple[Pool, ...]
    order: int = 0
    """Of the wishes of one run the smaller comes first: the place of its first job in the run."""
    jobs: list[str] = field(default_factory=list)


def hand_out(
    lines: Sequence[Sequence[Wishes]], room: Mapping[Pool, int], *, until: Rank | None = None
) -> list[tuple[Wishes, int]]:
    """Who gets how many places; of a line all wishes need the same pools, the first come first.

    `room` are the free places of each pool; runs from the rank `until` on get none yet.
    """
    free = dict(room)
    full: set[Pool] = set()
    given: list[tuple[Wishes, int]] = []
    heads = [(line[0].rank, line[0].order, number, 0) for number, line in enumerate(lines) if line]
    heapq.heapify(heads)
    while heads:
        rank, _, number, place = heapq.heappop(heads)
        if until is not None and rank >= until:
            break
        wishes = lines[number][place]
        wanted = len(wishes.jobs)
        count = min([wanted, *(max(0, free[pool]) for pool in wishes.pools)])
        for pool in wishes.pools:
            free[pool] -= count
        if count:
            given.append((wishes, count))
        if count == wanted:
            if place + 1 < len(lines[number]):
                following = lines[number][place + 1]
                heapq.heappush(heads, (following.rank, following.order, number, place + 1))
            continue
        lacking = {pool for pool in wishes.pools if free[pool] <= 0}
        if not lacking <= full:
            for pool in wishes.pools:
                free[pool] -= 1
            full |= lacking
    return given
