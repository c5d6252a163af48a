"""Lets one contestant run one load: observer beside it, the operator's process around it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.bench.arena import counted_by_server, sent_to_runs
from tests.bench.engines import GRADIENT
from tests.bench.model import Contestant
from tests.bench.observer import Observer
from tests.bench.operator_process import OperatorProcess, Reading, operating, refusals, requests

if TYPE_CHECKING:
    from tests.bench.arena import Arena
    from tests.bench.exposition import Scrape
    from tests.bench.model import Measurement

T = TypeVar("T")

BarePlay = Callable[["Arena", Observer], Awaitable["Measurement"]]
OperatorPlay = Callable[["Arena", Observer, OperatorProcess | None], Awaitable["Measurement"]]
"""Without a process it is an engine that works on the cluster already."""


async def play(
    arena: Arena, contestant: Contestant, *, bare: BarePlay, operator: OperatorPlay
) -> Measurement:
    """Run the load by the contestant.

    Raises:
        BenchError: what was observed must not happen, or the operator's process ended.
    """
    engine = arena.engine if contestant.is_operator else GRADIENT
    seen = Observer(arena.client, arena.namespace, engine=engine)
    await seen.begin()
    try:
        measured = await _play(arena, contestant, seen, bare=bare, operator=operator)
    except asyncio.CancelledError:  # too slow, or interrupted: say how far it came
        print(f"  {seen.progress()}")
        raise
    if not seen.interruptions:
        return measured
    note = f"the bench's own watches had to be opened again ({seen.interruptions} times)"
    return replace(measured, notes=(*measured.notes, note))


async def _play(
    arena: Arena,
    contestant: Contestant,
    seen: Observer,
    *,
    bare: BarePlay,
    operator: OperatorPlay,
) -> Measurement:
    if not contestant.is_operator:
        return await together(bare(arena, seen), seen.follow_pods())
    if not arena.engine.ours:
        return await together(operator(arena, seen, None), seen.follow_pods(), seen.follow_runs())
    folder = Path(tempfile.mkdtemp(prefix=f"{contestant}-", dir=arena.folder))
    finalizer = contestant is Contestant.OPERATOR
    async with operating(
        kubeconfig=arena.kubeconfig,
        namespace=arena.namespace,
        finalizer=finalizer,
        folder=folder,
    ) as process:
        try:
            return await together(
                operator(arena, seen, process),
                seen.follow_pods(),
                seen.follow_runs(),
                process.ended(),
            )
        except asyncio.CancelledError:
            print(f"  the operator's last warnings: {process.words()}")
            raise


async def together(work: Awaitable[T], *beside: Coroutine[Any, Any, None]) -> T:
    """The result of `work`; what runs `beside` it never ends by itself but with an error.

    Whichever ends first ends the others.
    """
    main = asyncio.ensure_future(work)
    others = [asyncio.create_task(coroutine) for coroutine in beside]
    tasks: set[asyncio.Future[Any]] = {main, *others}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {main}:
            task.result()
        return main.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Spent:
    """What the operator and the API server counted while a load ran."""

    before: Reading
    after: Reading
    server: Scrape

    @property
    def metrics(self) -> Scrape:
        """The operator's own metrics, of this load alone."""
        return self.after.metrics - self.before.metrics

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the operator used."""
        return self.after.usage.cpu_seconds - self.before.usage.cpu_seconds

    def figures(self) -> dict[str, float]:
        """Processor time and memory."""
        return {
            "cpu": self.cpu_seconds,
            "rss": self.after.usage.peak_mib,
            "rss_idle": self.before.usage.resident_mib,
            "sent": sent_to_runs(self.server) / 1_000,
        }

    def calls(self) -> dict[tuple[str, str], int]:
        """The operator's requests by verb and resource."""
        return requests(self.metrics)

    def notes(self) -> tuple[str, ...]:
        """What does not fit: refused requests, and counts in which operator and server differ."""
        notes = [
            f"refused: {what}, {count} times" for what, count in refusals(self.metrics).items()
        ]
        own = self.calls()
        for (verb, resource), count in counted_by_server(self.server).items():
            mine = own.get((verb, resource), 0)
            if mine != count:
                notes.append(
                    f"{verb} {resource}: the operator counted {mine}, the API server {count}"
                )
        return tuple(notes)


async def spending(
    arena: Arena, process: OperatorProcess | None, work: Callable[[], Awaitable[None]]
) -> Spent | None:
    """Do `work`, wait until the operator is idle again, and tell what it all took.

    None of an engine that is not ours.
    """
    if process is None:
        await work()
        return None
    server = await arena.scrape()
    before = await process.read()
    await work()
    after = await process.settle()
    return Spent(before, after, await arena.scrape() - server)
