"""Scenarios that are started together, so that a module takes as long as its slowest one.

A module lists them as SCENARIOS, and the names of runs that one has beside its own as FURTHER_RUNS;
the fixture `under_way` starts them, and one test, marked with `each`, awaits every one of them:

    @each(SCENARIOS)
    async def test_when(under_way: UnderWay, scenario: Scenario) -> None:
        await under_way[scenario]
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import NAMESPACES
from tests.e2e.cluster import Cluster, new_namespace
from tests.e2e.gate import Place, set_up

Scenario = Callable[[Place, str], Awaitable[None]]
"""Plays one scenario with the run of this name, and asserts what came of it."""


UnderWay = dict[Scenario, asyncio.Task[None]]
"""The scenarios of a module, started."""


def each(scenarios: Sequence[Scenario]) -> pytest.MarkDecorator:
    """One test for every scenario, under its name."""
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda one: one.__name__)


def run_name(scenario: Scenario) -> str:
    """The name of a scenario's run, provider and dataset."""
    return re.sub(r"[^a-z0-9]+", "-", scenario.__name__)


def chosen(request: pytest.FixtureRequest) -> list[Scenario]:
    """Those of a module whose tests were asked for."""
    wanted = {
        item.callspec.params.get("scenario")
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
        if hasattr(item, "callspec")
    }
    return [scenario for scenario in request.module.SCENARIOS if scenario in wanted]


@asynccontextmanager
async def namespace(stem: str) -> AsyncIterator[Cluster]:
    """A namespace for a whole module."""
    async with await KubeClient.connect(user_agent="gradient-e2e") as client:
        cluster = await new_namespace(client, stem)
        try:
            yield cluster
        finally:
            # The runs first: a namespace gives their Pods all the time that an upload has.
            words = ("delete", "gradientruns", "--all", "--timeout=60s")
            await asyncio.to_thread(cluster.kubectl, *words, check=False)
            await client.delete(NAMESPACES, name=cluster.namespace)


@asynccontextmanager
async def playing(
    stem: str, scenarios: Sequence[Scenario], *, further: Sequence[str] = ()
) -> AsyncIterator[UnderWay]:
    """All scenarios under way in one namespace; await each in its own test.

    `further` are names of runs that a scenario has beside the one of its own name.
    """
    async with namespace(stem) as cluster:
        names = [run_name(scenario) for scenario in scenarios]
        place = await set_up(cluster, [*names, *further])
        tasks = {
            scenario: asyncio.ensure_future(scenario(place, run_name(scenario)))
            for scenario in scenarios
        }
        try:
            yield tasks
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
