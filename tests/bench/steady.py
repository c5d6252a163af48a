"""B4: a rate of runs that rises step by step, until they come faster than they end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.kube.resources import PODS
from tests.bench import definitions
from tests.bench.model import PAIR, BenchError, Contestant, Figure, Load, Measurement
from tests.bench.stage import play
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradient_operator.kube.resources import Resource
    from tests.bench.arena import Arena
    from tests.bench.observer import Observer
    from tests.bench.operator_process import OperatorProcess

RISE: Final = 1.25
"""Each step is faster by this factor."""
LAG: Final = 2.0
"""Seconds of submissions that may be unfinished when a step ends: more is a queue that grows."""
DRAIN_SECONDS: Final = 120.0


async def _run(arena: Arena, contestant: Contestant) -> Measurement:
    return await play(arena, contestant, bare=_bare, operator=_operator)


async def _bare(arena: Arena, seen: Observer) -> Measurement:
    def pods() -> Iterator[dict[str, Any]]:
        jobs = {"Only": definitions.job(arena.machine_type.name)}
        number = 0
        while True:
            number += 1
            yield from definitions.bare_pods(
                jobs,
                run=f"steady-{number}",
                namespace=arena.namespace,
                machine_type=arena.machine_type,
            ).values()

    return await _rise(arena, seen, PODS, pods(), done=lambda: seen.finished_pods)


async def _operator(arena: Arena, seen: Observer, process: OperatorProcess | None) -> Measurement:
    def runs() -> Iterator[dict[str, Any]]:
        jobs = {"Only": definitions.job(arena.machine_type.name)}
        while True:
            yield arena.new_run(jobs)

    return await _rise(
        arena, seen, arena.engine.resource, runs(), done=lambda: seen.ended_runs, process=process
    )


async def _rise(
    arena: Arena,
    seen: Observer,
    resource: Resource,
    objects: Iterator[dict[str, Any]],
    *,
    done: Callable[[], int],
    process: OperatorProcess | None = None,
) -> Measurement:
    sizes, sent = arena.sizes, 0
    held = cpu = 0.0
    rate = float(sizes.rate)
    while True:
        before = None if process is None else await process.read()
        number = round(rate * sizes.step / 60)
        await _step(arena, seen, resource, objects, number=number)
        sent += number
        if sent - done() > max(LAG * rate / 60, 2):
            break
        held = rate
        if process is not None and before is not None:
            after = await process.read()
            spent = after.usage.cpu_seconds - before.usage.cpu_seconds
            cpu = spent / sizes.step * 100
        rate *= RISE
    await _drained(sent, done)
    figures = {"held": held, "failed_at": rate}
    return Measurement(
        figures | ({} if process is None else {"cpu": cpu}), {"pods": len(seen.pods)}
    )


async def _step(
    arena: Arena,
    seen: Observer,
    resource: Resource,
    objects: Iterator[dict[str, Any]],
    *,
    number: int,
) -> None:
    """Send so many, evenly over the seconds of a step; one that is late delays no other."""
    began, pause = seen.now(), arena.sizes.step / number
    async with asyncio.TaskGroup() as group:
        for index in range(number):
            await asyncio.sleep(max(0.0, began + index * pause - seen.now()))
            group.create_task(arena.client.create(resource, next(objects)))
        await asyncio.sleep(max(0.0, began + number * pause - seen.now()))


async def _drained(sent: int, done: Callable[[], int]) -> None:
    async def drained() -> None:
        if (missing := sent - done()) > 0:
            raise BenchError(
                f"{missing} of {sent} are unfinished {DRAIN_SECONDS:.0f} s after the last was sent"
            )

    await eventually(drained, seconds=DRAIN_SECONDS, pause=0.1, not_yet=BenchError)


LOADS: Final = (
    Load(
        key="B4",
        title="a steadily rising rate of runs",
        explanation=(
            "Runs of one instant job are sent evenly, at first {rate:,} in a minute, and faster by "
            "a quarter after each {step} s. A rate is held if at the end of its step no more runs "
            "are unfinished than come in 2 s. The bare client sends Pods."
        ),
        figures=(
            Figure("held", "highest rate that was held, runs (bare: Pods)", "1/min", 0),
            Figure("failed_at", "rate at which the queue grew", "1/min", 0),
            Figure("cpu", "operator: one processor's share at the highest rate", "%", 0),
        ),
        seconds=1_800,
        rounds=1,
        run=_run,
        contestants=PAIR,
        long=True,
    ),
)
