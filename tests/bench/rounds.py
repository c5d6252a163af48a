"""Runs loads round by round, the contestants in turns, in reverse order every second round."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.model import BenchError, Contestant, LoadResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.arena import Arena
    from tests.bench.model import Load, Measurement


def order(load: Load, arena: Arena, number: int) -> Sequence[Contestant]:
    """The contestants of a round: what grows along a round must not always meet the same one."""
    contestants = [
        one
        for one in load.contestants
        if arena.engine.ours or one is not Contestant.WITHOUT_FINALIZER
    ]
    return contestants if number % 2 == 0 else contestants[::-1]


async def run_load(
    load: Load, arena: Arena, *, rounds: int, say: Callable[[str], None]
) -> LoadResult:
    """All rounds of a load.

    Raises:
        BenchError: a contestant failed or took too long.
    """
    result = LoadResult(load)
    title = load.title.format(**asdict(arena.sizes))
    shown = load.figures[0]
    for number in range(rounds):
        found: dict[Contestant, Measurement] = {}
        for contestant in order(load, arena, number):
            result.foreign.append(await machine.calm())
            started = time.monotonic()
            found[contestant] = await _within(load, arena, contestant)
            await arena.clean()
            say(
                f"  {load.key} {title}, round {number + 1} of {rounds}, {contestant}: "
                f"{found[contestant].figures[shown.key]:,.{shown.digits}f} {shown.unit} "
                f"({time.monotonic() - started:.0f} s with start and clearing up)"
            )
            for note in found[contestant].notes:
                say(f"    {note}")
        result.rounds.append(found)
    return result


async def _within(load: Load, arena: Arena, contestant: Contestant) -> Measurement:
    try:
        async with asyncio.timeout(load.seconds):
            return await load.run(arena, contestant)
    except TimeoutError as error:
        raise BenchError(
            f"{load.key}, {contestant}: not done within {load.seconds:.0f} s; "
            f"the operators' logs are in {arena.folder}"
        ) from error
    except BenchError as error:
        raise BenchError(
            f"{load.key}, {contestant}: {error} (the operators' logs are in {arena.folder})"
        ) from error
