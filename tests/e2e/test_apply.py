"""Applying workflows: once, twice, with a bare `on:`, invalid, enormous."""

import asyncio
from typing import Any

import yaml

from gradient_operator.kube.resources import RUNS, WORKFLOWS
from tests.e2e.cluster import IMAGE, Cluster, Seen, script

BARE_ON = f"""
apiVersion: gradient.run/v1alpha1
kind: GradientWorkflow
metadata:
  name: hello
spec:
  on:
    github:
      branches:
        only: main
  jobs:
    hello:
      resources:
        instance-type: C4
      uses: container@v1
      with:
        image: {IMAGE}
        args: [bash, -c, "echo hello; sleep $PAUSE"]
      env:
        PAUSE: "0"
"""


def condition(item: Seen, kind: str) -> Seen:
    found = item.get("status", {}).get("conditions", ())
    return next((entry for entry in found if entry["type"] == kind), {})


async def runs_of(cluster: Cluster) -> list[str]:
    listed = await cluster.client.list_all(RUNS, namespace=cluster.namespace)
    return sorted(item["metadata"]["name"] for item in listed.items)


async def last_run_ended(cluster: Cluster, generation: int) -> Seen:
    return await cluster.until(
        WORKFLOWS,
        "hello",
        lambda item: (
            item.get("status", {}).get("observedGeneration") == generation
            and item["status"].get("lastRun", {}).get("phase") == "Succeeded"
        ),
    )


async def test_each_changed_graph_starts_one_run_and_nothing_else_does(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", text=BARE_ON)
    await last_run_ended(cluster, 1)
    cluster.kubectl("apply", "-f", "-", text=BARE_ON)
    cluster.kubectl("apply", "-f", "-", text=BARE_ON.replace("hello; sleep", "changed; sleep"))
    await last_run_ended(cluster, 2)
    assert len(await runs_of(cluster)) == 2
    cluster.kubectl("apply", "-f", "-", text=BARE_ON)
    await last_run_ended(cluster, 3)
    assert len(await runs_of(cluster)) == 3, "changed back to an earlier graph: one more run"
    with_policy = BARE_ON + "  policy:\n    retries: 2\n"
    cluster.kubectl("apply", "-f", "-", text=with_policy)
    await last_run_ended(cluster, 4)
    assert len(await runs_of(cluster)) == 3, "a policy alone starts none"


async def test_a_spec_that_changes_while_it_runs_leaves_the_run_as_it_was(
    cluster: Cluster,
) -> None:
    slow = BARE_ON.replace('PAUSE: "0"', 'PAUSE: "8"')
    cluster.kubectl("apply", "-f", "-", text=slow)
    first = await cluster.until(
        WORKFLOWS, "hello", lambda item: bool(item.get("status", {}).get("lastRun"))
    )
    name = first["status"]["lastRun"]["name"]
    cluster.kubectl("apply", "-f", "-", text=slow.replace("echo hello", "echo other"))
    patch = '{"spec":{"definition":{"jobs":{"hello":{"with":{"image":"other"}}}}}}'
    refused = cluster.kubectl(
        "patch", "gradientrun", name, "--type", "merge", "-p", patch, check=False
    )
    assert refused.returncode != 0
    assert "cannot be changed" in refused.stderr
    await cluster.succeeded(name)
    assert "hello" in await cluster.log(name, "hello")
    await last_run_ended(cluster, 2)
    assert len(await runs_of(cluster)) == 2


async def refused(cluster: Cluster, name: str, spec: dict[str, Any]) -> str:
    """Apply a definition that must be refused: by the API server, or by the operator in words."""
    body = {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientWorkflow",
        "metadata": {"name": name},
        "spec": spec,
    }
    done = cluster.kubectl(
        "apply", "--server-side", "-f", "-", text=yaml.safe_dump(body), check=False
    )
    if done.returncode != 0:
        return done.stderr
    seen = await cluster.until(
        WORKFLOWS, name, lambda item: condition(item, "Accepted").get("status") == "False"
    )
    return str(condition(seen, "Accepted")["message"])


async def test_what_is_wrong_is_refused_in_words_and_stops_nobody(cluster: Cluster) -> None:
    other = asyncio.create_task(cluster.start("other", {"job": script("sleep 10")}))
    cycle = {"a": script("true", needs=["b"]), "b": script("true", needs=["a"])}
    assert "circle" in await refused(cluster, "cycle", {"jobs": cycle})
    misspelt = {"jobs": {"a": {**script("true"), "ouputs": {}}}}
    assert "did you mean 'outputs'?" in await refused(cluster, "misspelt", misspelt)
    unknown = {"jobs": {"a": script("true", needs=["B"]), "b": script("true")}}
    assert "job a" in await refused(cluster, "unknown", unknown)
    many = {"jobs": {f"job-{number}": script("true") for number in range(10_000)}}
    assert "2048" in await refused(cluster, "many", many)
    huge = {"jobs": {f"job-{number}": script("x" * 200_000) for number in range(6)}}
    assert "move code into an image" in await refused(cluster, "huge", huge)
    await other
    await cluster.succeeded("other")
    listed = await cluster.client.list_all(RUNS, namespace=cluster.namespace)
    assert [item["metadata"]["name"] for item in listed.items] == ["other"]
