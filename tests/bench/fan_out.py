"""B2: one job, then many at once, then one that needs them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gradient_operator.kube.resources import PODS, RUNS
from tests.bench import calls, definitions
from tests.bench.model import BenchError, Contestant, Figure, Load, Measurement
from tests.bench.stage import play, spending
from tests.bench.statistics import peak_rate

if TYPE_CHECKING:
    from tests.bench.arena import Arena
    from tests.bench.observer import Observer
    from tests.bench.operator_process import OperatorProcess


async def _run(arena: Arena, contestant: Contestant) -> Measurement:
    return await play(arena, contestant, bare=_bare, operator=_operator)


async def _bare(arena: Arena, seen: Observer) -> Measurement:
    jobs = definitions.fan_out(arena.machine_type.name, arena.sizes.width)
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


async def _operator(arena: Arena, seen: Observer, process: OperatorProcess) -> Measurement:
    jobs = definitions.fan_out(arena.machine_type.name, arena.sizes.width)
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
    figures = {
        **result.figures,
        **spent.figures(),
        **calls.figures(spent.calls()),
        "writes": float(written.writes),
        "stored": written.stored / 1_000,
        "size": written.size / 1_000,
    }
    counts = {**result.counts, "runs": seen.ended_runs, **calls.counts(spent.calls())}
    calls.require(counts, expected=len(jobs))
    return Measurement(figures, counts, spent.notes())


def _measurement(seen: Observer, *, total: float, expected: int) -> Measurement:
    if len(seen.pods) != expected or seen.finished_pods != expected:
        raise BenchError(f"{len(seen.pods)} Pods were seen for {expected} jobs")
    rate = peak_rate(pod.created for pod in seen.pods.values())
    return Measurement({"total": total, "peak": rate}, {"pods": len(seen.pods)})


LOAD = Load(
    key="B2",
    title="one job, {width} at once, one job",
    explanation=(
        "One run of {width} jobs that need a first one, and a last one that needs them all; from "
        "sending the run to seeing it succeeded. The bare client sends the same Pods in the same "
        "three waves and waits for its last one. Pods per second are counted as they are seen, in "
        "the best window of one second."
    ),
    figures=(
        Figure("total", "from start to end", "s", 2),
        Figure("peak", "Pods created, peak", "1/s", 0),
        Figure("cpu", "operator: processor time", "s", 2),
        Figure("rss", "operator: peak memory (RSS)", "MiB", 0),
        Figure("rss_idle", "operator: memory before", "MiB", 0),
        Figure("writes", "run object: writes of its status", "", 0),
        Figure("sent", "run object: bytes sent in patches", "kB", 0),
        Figure("stored", "run object: bytes of all versions stored", "kB", 0),
        Figure("size", "run object: size at the end", "kB", 0),
        *calls.rows("requests", digits=0),
    ),
    seconds=300,
    rounds=3,
    run=_run,
)
