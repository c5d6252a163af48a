"""A finished run goes from the cluster to the archive, with the logs that the kubelet had of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gradient_operator.kube.resources import RUNS, WORKFLOWS
from tests.e2e.cluster import Cluster, Seen, script
from tests.e2e.configuration import configured
from tests.e2e.side_by_side import namespace

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {"keepMinutes": 0, "sweepSeconds": 1}
NAME = "train"


def workflow(words: str, **policy: object) -> str:
    """A definition whose runs print some words, and fail."""
    jobs = {
        "says": script(f"echo {words}; echo and more >&2"),
        "fails": script("echo the sea is dry; exit 3", needs=["says"]),
    }
    return json.dumps(
        {
            "apiVersion": "gradient.run/v1alpha1",
            "kind": "GradientWorkflow",
            "metadata": {"name": NAME},
            "spec": {"jobs": jobs, "policy": {"history": {"keepFailed": 1}, **policy}},
        }
    )


async def applied(cluster: Cluster, text: str) -> Seen:
    """The workflow's status once the operator has seen what was applied."""
    await asyncio.to_thread(cluster.kubectl, "apply", "-f", "-", text=text)
    body = await cluster.client.get(WORKFLOWS, name=NAME, namespace=cluster.namespace)
    generation = body["metadata"]["generation"]
    seen = await cluster.until(
        WORKFLOWS,
        NAME,
        lambda item: item.get("status", {}).get("observedGeneration") == generation,
    )
    status: Seen = seen["status"]
    return status


async def run_of(cluster: Cluster, text: str) -> str:
    """The run that a changed definition starts, once it has ended."""
    status = await applied(cluster, text)
    run = str(status["lastRun"]["name"])
    assert (await cluster.ended(run))["phase"] == "Failed"
    return run


def archived(item: Seen) -> bool:
    found = item.get("status", {}).get("conditions", ())
    return any(each["type"] == "Archived" and each["status"] == "True" for each in found)


@dataclass(frozen=True, slots=True)
class Past:
    """Two runs of one workflow: one that is only in the archive, and the latest."""

    cluster: Cluster
    gone: str
    latest: str

    async def gradient(self, *words: str) -> str:
        """What the command line prints."""
        return (await asyncio.to_thread(self.cluster.gradient, *words)).stdout

    async def runs(self) -> list[str]:
        """The runs that the cluster knows."""
        listed = await self.cluster.client.list_all(RUNS, namespace=self.cluster.namespace)
        return [item["metadata"]["name"] for item in listed.items]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past(installed: None) -> AsyncIterator[Past]:
    async with namespace("history") as cluster, configured(cluster, history=SETTINGS):
        gone = await run_of(cluster, workflow("first words"))
        await cluster.until(RUNS, gone, archived)
        latest = await run_of(cluster, workflow("second words"))
        words = ("wait", f"gradientrun/{gone}", "--for=delete", "--timeout=60s")
        await asyncio.to_thread(cluster.kubectl, *words)
        yield Past(cluster, gone, latest)


async def test_a_finished_run_says_that_it_is_archived(past: Past) -> None:
    await past.cluster.until(RUNS, past.latest, archived)
    words = ("get", "gradientrun", past.latest, "-o", "wide", "--no-headers")
    row = (await asyncio.to_thread(past.cluster.kubectl, *words)).stdout
    assert " True " in row
    shown = await past.gradient("show", past.latest)
    assert "Archived=True" in shown


async def test_a_run_that_is_gone_is_listed_shown_and_explained(past: Past) -> None:
    assert await past.runs() == [past.latest]
    listed = json.loads(await past.gradient("runs", "--all", "-o", "json"))
    found = {run["name"]: (run["phase"], run["archived"]) for run in listed}
    assert found == {past.gone: ("Failed", True), past.latest: ("Failed", False)}
    assert "Failed (archived)" in await past.gradient("show", past.gone)
    why = await past.gradient("why", past.gone)
    assert "Failed first: job fails, attempt 1: ExitCode" in why
    assert "| the sea is dry" in why


async def test_its_logs_are_what_the_jobs_wrote(past: Past) -> None:
    lines = (await past.gradient("logs", past.gone, "says")).splitlines()
    assert sorted(lines) == ["and more", "first words"]
    assert await past.gradient("logs", past.gone, "fails") == "the sea is dry\n"


async def test_a_definition_that_is_applied_again_starts_nothing(past: Past) -> None:
    """As a GitOps tool does; also with another policy, and when the last run is gone as well."""
    status = await applied(past.cluster, workflow("second words"))
    assert status["lastRun"]["name"] == past.latest
    words = ("delete", "gradientrun", past.latest)
    await asyncio.to_thread(past.cluster.kubectl, *words)
    status = await applied(past.cluster, workflow("second words", retries=1))
    assert status["lastRun"]["name"] == past.latest, "its result is not forgotten"
    assert await past.runs() == []
