"""Scenarios that are started together, so that a module takes as long as its slowest one."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import NAMESPACES
from tests.e2e.cluster import Cluster
from tests.e2e.gate import Place, set_up

Scenario = Callable[[Place, str], Awaitable[None]]
"""Plays one scenario with the run of this name, and asserts what came of it."""


def run_name(scenario: Scenario) -> str:
    """The name of a scenario's run, provider and dataset."""
    return re.sub(r"[^a-z0-9]+", "-", scenario.__name__)


def chosen(request: pytest.FixtureRequest, scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Those whose tests were asked for."""
    wanted = {
        item.callspec.params.get("scenario")
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
        if hasattr(item, "callspec")
    }
    return [scenario for scenario in scenarios if scenario in wanted]


@asynccontextmanager
async def namespace(stem: str) -> AsyncIterator[Cluster]:
    """A namespace for a whole module."""
    name = f"e2e-{stem}-{uuid.uuid4().hex[:6]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    async with await KubeClient.connect(user_agent="gradient-e2e") as client:
        await client.create(NAMESPACES, body)
        cluster = Cluster(client, name)
        try:
            yield cluster
        finally:
            # The runs first: a namespace gives their Pods all the time that an upload has.
            words = ("delete", "gradientruns", "--all", "--timeout=60s")
            await asyncio.to_thread(cluster.kubectl, *words, check=False)
            await client.delete(NAMESPACES, name=name)


@asynccontextmanager
async def playing(
    stem: str, scenarios: Sequence[Scenario], *, further: Sequence[str] = ()
) -> AsyncIterator[dict[Scenario, asyncio.Task[None]]]:
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
