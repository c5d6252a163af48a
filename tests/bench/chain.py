"""B1: a chain of instant jobs. What one level costs beyond what the cluster itself takes."""

from __future__ import annotations

import itertools
from statistics import median
from typing import TYPE_CHECKING, Final

from gradient_operator.kube.resources import PODS, RUNS
from tests.bench import definitions
from tests.bench.model import BenchError, Contestant, Figure, Load, Measurement
from tests.bench.stage import play
from tests.bench.statistics import quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.arena import Arena
    from tests.bench.observer import Observer
    from tests.bench.operator_process import OperatorProcess


async def _run(arena: Arena, contestant: Contestant) -> Measurement:
    return await play(arena, contestant, bare=_bare, operator=_operator)


async def _bare(arena: Arena, seen: Observer) -> Measurement:
    totals = []
    jobs = definitions.chain(arena.machine_type.name, arena.sizes.chain)
    names = [f"chain-{number}" for number in range(arena.sizes.chains + 1)]
    for name in names:
        pods = definitions.bare_pods(
            jobs, run=name, namespace=arena.namespace, machine_type=arena.machine_type
        )
        started = seen.now()
        for job, pod in pods.items():
            await arena.client.create(PODS, pod)
            await seen.until_job_finished(name, job)
        totals.append(seen.now() - started)
    return _measurement(seen, names[1:], list(jobs), totals[1:])


async def _operator(arena: Arena, seen: Observer, _: OperatorProcess | None) -> Measurement:
    totals, names = [], []
    jobs = definitions.chain(arena.machine_type.name, arena.sizes.chain)
    last = list(jobs)[-1]
    for _number in range(arena.sizes.chains + 1):
        run = arena.new_run(jobs)
        name = run["metadata"]["name"]
        started = seen.now()
        await arena.client.create(RUNS, run)
        await seen.until_job_finished(name, last)
        totals.append(seen.now() - started)
        names.append(name)
        await seen.until_ended(len(names))
        # What ends this chain must not be charged to the next one.
        await seen.until_released(len(names) * len(jobs))
    return _measurement(seen, names[1:], list(jobs), totals[1:])


def _measurement(
    seen: Observer, runs: Sequence[str], jobs: Sequence[str], totals: Sequence[float]
) -> Measurement:
    latencies = [
        latency
        for run in runs
        for before, after in itertools.pairwise(jobs)
        if (latency := _latency(seen, run, before, after)) is not None
    ]
    expected = (len(runs) + 1) * len(jobs)
    if len(seen.pods) != expected or len(latencies) != len(runs) * (len(jobs) - 1):
        raise BenchError(f"{len(seen.pods)} Pods were seen for {expected} jobs")
    return Measurement(
        figures={
            "p50": quantile(latencies, 0.50) * 1_000,
            "p99": quantile(latencies, 0.99) * 1_000,
            "total": median(totals),
        },
        counts={"pods": len(seen.pods), "levels": len(latencies)},
    )


def _latency(seen: Observer, run: str, before: str, after: str) -> float | None:
    """Seconds from seeing one job's Pod finished to seeing the next one's created."""
    one, two = seen.jobs.get((run, before)), seen.jobs.get((run, after))
    if one is None or two is None or one.finished is None:
        return None
    return two.created - one.finished


LOAD = Load(
    key="B1",
    title="chain of instant jobs",
    explanation=(
        "{chain} jobs, each needing the one before; {chains} such chains one after another in each "
        "round, after one that is not counted. A level lasts from seeing a job's Pod finished to "
        "seeing the next job's Pod created; a chain from sending it to seeing its last Pod "
        "finished. The bare client sends the next Pod as soon as it sees the last one finished."
    ),
    figures=(
        Figure("p50", "one level, median", "ms"),
        Figure("p99", "one level, 99th percentile", "ms"),
        Figure("total", "whole chain, median", "s", 2),
    ),
    seconds=120,
    rounds=5,
    run=_run,
)

LOADS: Final = (LOAD,)
