"""B2: one job, then many at once, then one that needs them all."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from gradient_operator.kube.resources import PODS, RUNS
from tests.bench import calls, definitions
from tests.bench.model import PAIR, BenchError, Contestant, Figure, Load, Measurement, Sizes
from tests.bench.stage import play, spending
from tests.bench.statistics import peak_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.arena import Arena
    from tests.bench.observer import Observer
    from tests.bench.operator_process import OperatorProcess


def load(
    key: str, *, width: Callable[[Sizes], int], size: str, rounds: int, long: bool = False
) -> Load:
    """The load of one width, which `size` shows in a text."""

    async def run(arena: Arena, contestant: Contestant) -> Measurement:
        wide = width(arena.sizes)
        return await play(
            arena,
            contestant,
            bare=partial(_bare, width=wide),
            operator=partial(_operator, width=wide),
        )

    return Load(
        key=key,
        title=f"one job, {size} at once, one job",
        explanation=_EXPLANATION.format(size=size),
        figures=_FIGURES,
        seconds=600 if long else 300,
        rounds=rounds,
        run=run,
        contestants=PAIR if long else tuple(Contestant),
        long=long,
    )


async def _bare(arena: Arena, seen: Observer, *, width: int) -> Measurement:
    jobs = definitions.fan_out(arena.machine_type.name, width)
    pods = definitions.bare_pods(
        jobs, run="fan-out", namespace=arena.namespace, machine_type=arena.machine_type
    )
    first, *middle, last = pods.values()
    started = seen.now()
    for wave in ([first], middle, [last]):
        goal = seen.finished_pods + len(wave)
        await asyncio.gather(*(arena.client.create(PODS, pod) for pod in wave))
        await seen.until_finished(goal)
    return _measurement(seen, total=seen.now() - started, expected=len(jobs))


async def _operator(
    arena: Arena, seen: Observer, process: OperatorProcess | None, *, width: int
) -> Measurement:
    jobs = definitions.fan_out(arena.machine_type.name, width)
    run = arena.new_run(jobs)
    total = 0.0

    async def work() -> None:
        nonlocal total
        started = seen.now()
        await arena.client.create(RUNS, run)
        await seen.until_ended(1)
        total = seen.now() - started
        # Taking the finalizers off is left for quieter times, and counted all the same.
        await seen.until_released(len(jobs))

    spent = await spending(arena, process, work)
    result = _measurement(seen, total=total, expected=len(jobs))
    written = seen.runs[run["metadata"]["name"]]
    if spent is None:
        return result
    figures = {
        **result.figures,
        **spent.figures(),
        **calls.figures(spent.calls()),
        "writes": float(written.writes),
        "stored": written.stored / 1_000,
        "size": written.size / 1_000,
        "status": written.status / len(jobs),
    }
    counts = {**result.counts, "runs": seen.ended_runs, **calls.counts(spent.calls())}
    calls.require(counts, expected=len(jobs))
    return Measurement(figures, counts, spent.notes())


def _measurement(seen: Observer, *, total: float, expected: int) -> Measurement:
    if len(seen.pods) != expected or seen.finished_pods != expected:
        raise BenchError(f"{len(seen.pods)} Pods were seen for {expected} jobs")
    rate = peak_rate(pod.created for pod in seen.pods.values())
    return Measurement({"total": total, "peak": rate}, {"pods": len(seen.pods)})


_EXPLANATION: Final = (
    "One run of {size} jobs that need a first one, and a last one that needs them all; from "
    "sending the run to seeing it succeeded. The bare client sends the same Pods in the same "
    "three waves and waits for its last one. Pods per second are counted as they are seen, in "
    "the best window of one second."
)
_FIGURES: Final = (
    Figure("total", "from start to end", "s", 2),
    Figure("peak", "Pods created, peak", "1/s", 0),
    Figure("cpu", "operator: processor time", "s", 2),
    Figure("rss", "operator: peak memory (RSS)", "MiB", 0),
    Figure("rss_idle", "operator: memory before", "MiB", 0),
    Figure("writes", "run object: writes of its status", "", 0),
    Figure("sent", "run object: bytes sent in patches", "kB", 0),
    Figure("stored", "run object: bytes of all versions stored", "kB", 0),
    Figure("size", "run object: size at the end", "kB", 0),
    Figure("status", "run object: status at the end, for each job", "B", 0),
    *calls.rows("requests", digits=0),
)

LOADS: Final = (
    load("B2-100", width=lambda sizes: sizes.narrow, size="{narrow:,}", rounds=3),
    load("B2", width=lambda sizes: sizes.width, size="{width:,}", rounds=3),
    load("B2-2000", width=lambda sizes: sizes.wide, size="{wide:,}", rounds=2, long=True),
)
