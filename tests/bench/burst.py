"""B3: many runs of one job each, all at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from gradient_operator.kube.resources import PODS, RUNS
from tests.bench import calls, definitions
from tests.bench.model import PAIR, BenchError, Contestant, Figure, Load, Measurement, Sizes
from tests.bench.operator_process import reaction
from tests.bench.stage import play, spending
from tests.bench.statistics import histogram_quantile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.arena import Arena
    from tests.bench.observer import Observer
    from tests.bench.operator_process import OperatorProcess


def load(
    key: str, *, number: Callable[[Sizes], int], size: str, rounds: int, long: bool = False
) -> Load:
    """The load of so many runs, a number that `size` shows in a text."""

    async def run(arena: Arena, contestant: Contestant) -> Measurement:
        many = number(arena.sizes)
        return await play(
            arena,
            contestant,
            bare=partial(_bare, many=many),
            operator=partial(_operator, many=many),
        )

    return Load(
        key=key,
        title=f"{size} runs of one job at once",
        explanation=_EXPLANATION.format(size=size),
        figures=_FIGURES,
        seconds=1_200 if long else 300,
        rounds=rounds,
        run=run,
        contestants=PAIR if long else tuple(Contestant),
        long=long,
    )


async def _bare(arena: Arena, seen: Observer, *, many: int) -> Measurement:
    jobs = {"Only": definitions.job(arena.machine_type.name)}
    pods = [
        pod
        for number in range(many)
        for pod in definitions.bare_pods(
            jobs,
            run=f"burst-{number}",
            namespace=arena.namespace,
            machine_type=arena.machine_type,
        ).values()
    ]
    started, spent = seen.now(), time.process_time()
    await asyncio.gather(*(arena.client.create(PODS, pod) for pod in pods))
    await seen.until_finished(len(pods))
    spent = time.process_time() - spent
    result = _measurement(seen, total=seen.now() - started, expected=len(pods))
    return replace(result, figures={**result.figures, "cpu_each": spent / len(pods) * 1_000})


async def _operator(
    arena: Arena, seen: Observer, process: OperatorProcess | None, *, many: int
) -> Measurement:
    jobs = {"Only": definitions.job(arena.machine_type.name)}
    runs = [arena.new_run(jobs) for _ in range(many)]
    total = 0.0

    async def work() -> None:
        nonlocal total
        started = seen.now()
        await asyncio.gather(*(arena.client.create(RUNS, run) for run in runs))
        await seen.until_ended(len(runs))
        total = seen.now() - started
        # Taking the finalizers off is left for quieter times, and counted all the same.
        await seen.until_released(len(runs))

    spent = await spending(arena, process, work)
    result = _measurement(seen, total=total, expected=len(runs))
    if spent is None:
        return result
    reactions = reaction(spent.metrics)
    figures = {
        **result.figures,
        **spent.figures(),
        "cpu_each": spent.cpu_seconds / len(runs) * 1_000,
        **calls.figures(spent.calls(), per=len(runs)),
        "looks": spent.metrics.total(_LOOKS, controller="run") / len(runs),
        "reaction_p50": histogram_quantile(reactions, 0.50) * 1_000,
        "reaction_p99": histogram_quantile(reactions, 0.99) * 1_000,
    }
    counts = {**result.counts, "runs": seen.ended_runs, **calls.counts(spent.calls())}
    calls.require(counts, expected=len(runs))
    return Measurement(figures, counts, spent.notes())


def _measurement(seen: Observer, *, total: float, expected: int) -> Measurement:
    if len(seen.pods) != expected or seen.finished_pods != expected:
        raise BenchError(f"{len(seen.pods)} Pods were seen for {expected} jobs")
    return Measurement(
        {"total": total, "rate": expected / total},
        {"pods": len(seen.pods)},
    )


_LOOKS: Final = "gradient_operator_reconcile_duration_seconds_count"
_EXPLANATION: Final = (
    "{size} GradientRuns of one instant job, sent as fast as one client can; from the first "
    "one sent to seeing the last one succeeded. The bare client sends as many Pods and waits "
    "until it sees them all succeeded: it writes one object where a run takes two, and their "
    "status. Its processor time is the bench's own, with following the Pods. The reaction lasts "
    "from the operator's first look at a run to the request that creates its Pod, by its own "
    "histogram."
)
_FIGURES: Final = (
    Figure("total", "from start to end", "s", 2),
    Figure("rate", "runs (bare: Pods) per second", "1/s", 0),
    Figure("reaction_p50", "operator: reaction, median", "ms"),
    Figure("reaction_p99", "operator: reaction, 99th percentile", "ms"),
    Figure("cpu", "operator: processor time", "s", 2),
    Figure("cpu_each", "processor time for each run (bare: Pod)", "ms"),
    Figure("looks", "operator: looks at each run", "", 1),
    Figure("rss", "operator: peak memory (RSS)", "MiB", 0),
    Figure("rss_idle", "operator: memory before", "MiB", 0),
    *calls.rows("requests per run", digits=2),
)

LOADS: Final = (
    load("B3", number=lambda sizes: sizes.burst, size="{burst:,}", rounds=3),
    load("B3-5000", number=lambda sizes: sizes.flood, size="{flood:,}", rounds=1, long=True),
)
