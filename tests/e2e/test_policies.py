"""Budgets, clocks, pauses, reruns and reuse, with real kubelets, kernel and scheduler.

What the policies decide is tested without a cluster; here it is that real Pods end in the words
that the policies read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from gradient_operator.kube.resources import NODES, PODS, RUNS
from tests.e2e.cluster import IMAGE, Seen, on_gpu, script
from tests.e2e.gate import SAYS, Place, flat
from tests.e2e.side_by_side import Scenario, UnderWay, each

pytestmark = pytest.mark.asyncio(loop_scope="module")
OUTPUT = {"d": {"type": "dataset", "with": {"ref": "adopted"}}}


async def attempts(place: Place, run: str, job: str = "job") -> list[Seen]:
    """All Pods of a job that are there, the first attempt first."""
    listed = await place.cluster.client.list_all(
        PODS, namespace=place.cluster.namespace, label_selector=f"gradient.run/run={run}"
    )
    pods = [
        pod for pod in listed.items if pod["metadata"]["annotations"]["gradient.run/job"] == job
    ]
    return sorted(pods, key=lambda pod: int(pod["metadata"]["labels"]["gradient.run/attempt"]))


async def ended(place: Place, run: str, phase: str, job: str = "job") -> Seen:
    """The record of a job once its run has ended in a phase."""
    status = await place.cluster.ended(run)
    assert status["phase"] == phase, json.dumps(status, indent=1)
    record: Seen = status["jobs"][job]
    return record


async def gradient(place: Place, *words: str) -> str:
    """What the command line prints."""
    return (await asyncio.to_thread(place.cluster.gradient, *words)).stdout


def end(pod: Seen) -> Seen:
    """How main ended."""
    found: Seen = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


async def memory_runs_out(place: Place, run: str) -> None:
    """The kernel kills it at its machine's 512 MiB; with twice as much it is through."""
    job = script("exec python3 -c 'bytearray(640 << 20)'")
    await place.cluster.start(run, {"job": job}, policy={"outOfMemory": {"retries": 1}})
    record = await place.job(run, lambda job: job.get("memoryFailures") == 1)
    assert "the next attempt gets 1024Mi" in record["message"]
    record = await ended(place, run, "Succeeded")
    assert (record["attempt"], record["memory"]) == (2, "1024Mi")
    assert "userFailures" not in record, "`retries` is not touched"
    first, second = await attempts(place, run)
    assert (end(first)["reason"], end(first)["exitCode"]) == ("OOMKilled", 137)
    assert first["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
    assert second["spec"]["containers"][0]["resources"]["limits"]["memory"] in {"1Gi", "1024Mi"}
    assert "1024Mi" in await gradient(place, "show", run)


async def exit_code_is_chosen_for_retries(place: Place, run: str) -> None:
    """75 is tried again, after 2 s and after 4 s; 3 is not, although the budget has more."""
    job = script('test "$GRADIENT_ATTEMPT" = 3 && exit 3; exit 75')
    policy = {"retries": 5, "retry": {"onExitCodes": [75], "delaySeconds": 2, "factor": 2}}
    await place.cluster.start(run, {"job": job}, policy=policy)
    record = await ended(place, run, "Failed")
    assert (record["attempt"], record["reason"], record["exitCode"]) == (3, "ExitCode", 3)
    assert record["userFailures"] == 3
    pods = await attempts(place, run)
    assert [end(pod)["exitCode"] for pod in pods] == [75, 75, 3]
    pauses = [
        (made(after) - datetime.fromisoformat(end(before)["finishedAt"])).total_seconds()
        for before, after in pairwise(pods)
    ]
    assert pauses[0] >= 2, pauses
    assert pauses[1] >= 4, pauses


def made(pod: Seen) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


async def pod_of_higher_priority_comes(place: Place, run: str) -> None:
    """The scheduler takes the job's place for it; that is not the job's fault."""
    text = (
        'test "$GRADIENT_ATTEMPT" = 2 && exit 0\n'
        "trap 'sleep 1; exit 0' TERM; say mark; sleep 600 & wait"
    )
    async with seat(place, run) as (machine, resource, node):
        job = script(SAYS + text, resources={"instance-type": machine})
        await place.cluster.start(run, {"job": job}, policy={"retries": 0, "infraRetries": 1})
        pod = await place.in_phase(run, "Running")
        await place.reported(run)
        told = asyncio.ensure_future(place.pod(pod, is_disrupted))
        async with rival(place, run, resource, node):
            await told
            record = await place.job(run, lambda job: job.get("infraFailures") == 1)
            assert record["reason"] == "Preempted"
            assert "higher priority" in record["message"]
            await place.job(run, lambda job: job.get("reason") == "Unschedulable")
        record = await ended(place, run, "Succeeded")
    assert (record["attempt"], record["infraFailures"]) == (2, 1)
    assert "userFailures" not in record


def is_disrupted(pod: Seen) -> bool:
    return any(
        condition["type"] == "DisruptionTarget" and condition["reason"] == "PreemptionByScheduler"
        for condition in pod["status"].get("conditions", ())
    )


@asynccontextmanager
async def seat(place: Place, name: str) -> AsyncIterator[tuple[str, str, str]]:
    """A machine type of which one job fits on one node; with its resource, and the node."""
    client, resource = place.cluster.client, f"e2e.gradient.run/{name}"
    listed = await client.list_all(NODES, label_selector="gradient.run/pool=cpu")
    node = listed.items[0]["metadata"]["name"]

    async def offer(count: str | None) -> None:
        offered = {"capacity": {resource: count}, "allocatable": {resource: count}}
        await client.merge_patch(NODES, {"status": offered}, name=node, subresource="status")

    async with place.cluster.machine_type(name, {"gpu": {"count": 1, "resource": resource}}):
        try:
            await offer("1")
            yield name, resource, node
        finally:
            await offer(None)


@asynccontextmanager
async def rival(place: Place, name: str, resource: str, node: str) -> AsyncIterator[None]:
    """A Pod that matters more than any job, and wants the same."""
    kind = f"{place.cluster.namespace}-{name}"
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["sleep", "600"],
        "resources": {"limits": {resource: "1"}},
    }
    items = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": kind},
            "value": 1000,
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "rival"},
            "spec": {
                "priorityClassName": kind,
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
            },
        },
    ]
    kubectl: Callable[..., Any] = place.cluster.kubectl
    try:
        for item in items:  # a Pod is refused before its class is there
            await asyncio.to_thread(kubectl, "apply", "-f", "-", text=json.dumps(item))
        await place.cluster.until(
            PODS, "rival", lambda pod: pod["spec"].get("nodeName") == node, seconds=60
        )
        yield
    finally:
        await asyncio.to_thread(kubectl, "delete", "pod", "rival", "--wait=false", check=False)
        await asyncio.to_thread(kubectl, "delete", "priorityclass", kind, check=False)


async def image_does_not_exist(place: Place, run: str) -> None:
    """It waits in words, and fails with the same words when its clock has run out."""
    job = script("true")
    job["with"]["image"] = f"{IMAGE}-of-nobody"
    policy = {"timeouts": {"startingMinutes": 0.2}, "infraRetries": 2}
    await place.cluster.start(run, {"job": job}, policy=policy)
    message = await place.cluster.waiting(run, "job", "ImagePullFailed")
    assert "of-nobody" in message
    record = await ended(place, run, "Failed")
    # No further attempt would get it: none is made.
    assert (record["attempt"], record["reason"]) == (1, "ImageUnavailable")
    assert "policy.timeouts.startingMinutes" in record["message"]
    assert "the image cannot be pulled" in record["message"]
    told = await gradient(place, "why", run)
    assert "Failed first: job job, attempt 1: ImageUnavailable" in told
    assert "of-nobody" in told


async def job_takes_longer_than_it_may(place: Place, run: str) -> None:
    """It is told, has time to end in order, and failed for all that; `retries` are for it."""
    text = (
        'test "$GRADIENT_ATTEMPT" = 2 && exit 0\n'
        "trap 'sleep 1; say mark; exit 0' TERM; say mark; sleep 600 & wait"
    )
    job = script(SAYS + text, **{"timeout-minutes": 0.1})
    await place.cluster.start(run, {"job": job}, policy={"retries": 1})
    record = await place.job(run, lambda job: job.get("userFailures") == 1)
    assert record["reason"] == "TimedOut"
    assert "longer than its timeout-minutes: 0.1" in record["message"]
    assert await place.times_run(run) == 2, "it heard the signal and ended by itself"
    record = await ended(place, run, "Succeeded")
    assert (record["attempt"], record["userFailures"]) == (2, 1)


async def run_is_suspended(place: Place, run: str) -> None:
    """What runs goes on to its end; nothing new starts until it is resumed."""
    jobs = {"job": script(f"{SAYS}say wait"), "after": script("true", needs=["job"])}
    await place.cluster.start(run, jobs)
    await place.in_phase(run, "Running")
    assert "uspended" in await gradient(place, "suspend", run)
    await place.release(run)
    await place.job(run, lambda job: job["phase"] == "Succeeded")

    def waits(item: Seen) -> bool:
        return bool(item["status"]["jobs"]["after"].get("reason") == "Suspended")

    seen = await place.cluster.until(RUNS, run, waits)
    assert "gradient resume" in seen["status"]["message"]
    assert await attempts(place, run, "after") == []
    assert "Suspended" in await gradient(place, "why", run)
    await gradient(place, "resume", run)
    await ended(place, run, "Succeeded", "after")


async def failed_run_is_run_again(place: Place, run: str) -> None:
    """What succeeded is taken over with its bytes, and not run again."""
    again = f"{run}-again"
    jobs = {
        "make": script("echo made >/outputs/d/x", outputs=OUTPUT),
        "use": script(
            f'test "$(cat /inputs/d/x)" = made && test "$GRADIENT_RUN" = {again}',
            inputs={"d": "make.outputs.d"},
        ),
    }
    await place.cluster.start(run, jobs)
    await ended(place, run, "Failed", "use")
    await gradient(place, "rerun", run, "--failed", "--name", again)
    adopted = await ended(place, again, "Succeeded", "make")
    assert adopted["source"] == f"{run}/make"
    assert await attempts(place, again, "make") == []
    assert len(await attempts(place, again, "use")) == 1
    shown = await gradient(place, "show", again)
    assert f"a rerun of {run}" in shown
    assert flat(f"{run}/make") in flat(shown)


async def result_is_reused(place: Place, run: str) -> None:
    """The job that was mended runs, the one before it does not, and says why."""
    mended = f"{run}-mended"
    policy = {"reuse": True, "reuseImageTags": True}
    outputs = {"d": {"type": "dataset", "with": {"ref": "reused"}}}

    def jobs(text: str) -> dict[str, Any]:
        make = script("echo made >/outputs/d/x", outputs=outputs)
        return {"make": make, "use": script(text, inputs={"d": "make.outputs.d"})}

    await place.cluster.start(run, jobs("exit 1"), policy=policy)
    await ended(place, run, "Failed", "use")
    await place.cluster.start(mended, jobs('test "$(cat /inputs/d/x)" = made'), policy=policy)
    reused = await ended(place, mended, "Succeeded", "make")
    assert (reused["reason"], reused["source"]) == ("Reused", f"{run}/make")
    assert reused["message"].startswith(f"reused from {run}/make: same spec")
    assert await attempts(place, mended, "make") == []
    assert flat(f"{run}/make") in flat(await gradient(place, "show", mended))


async def all_gpus_are_busy(place: Place, run: str) -> None:
    """`gradient why` names who holds them, since when, and how to have them back."""
    holder = f"{run}-holder"
    hold = script(SAYS + "say wait", resources={"instance-type": "P4000x4"})
    await place.cluster.start(holder, {"holds": hold})

    def holds(item: Seen) -> bool:
        record = item.get("status", {}).get("jobs", {}).get("holds", {})
        return bool(record.get("phase") == "Running")

    seen = await place.cluster.until(RUNS, holder, holds)
    node = seen["status"]["jobs"]["holds"]["node"]
    await place.cluster.start(run, {"job": on_gpu(script("true"))})
    await place.cluster.waiting(run, "job", "GPUBusy")
    told = await gradient(place, "why", run)
    namespace = place.cluster.namespace
    assert "Waits: GPU busy (GPUBusy)" in told
    assert "not enough nvidia.com/gpu free" in told
    held = f"held by  run {holder} in namespace {namespace}: job holds, 4 GPUs on {node}, for "
    assert held in told
    assert f"gradient cancel {holder} -n {namespace}" in told
    found = json.loads(await gradient(place, "why", run, "-o", "json"))
    assert [each["run"] for each in found["waits"][0]["heldBy"]] == [holder]
    await gradient(place, "cancel", holder, "--grace", "1")
    await ended(place, run, "Succeeded")


SCENARIOS: list[Scenario] = [
    image_does_not_exist,
    memory_runs_out,
    exit_code_is_chosen_for_retries,
    pod_of_higher_priority_comes,
    job_takes_longer_than_it_may,
    run_is_suspended,
    failed_run_is_run_again,
    result_is_reused,
    all_gpus_are_busy,
]


@each(SCENARIOS)
async def test_when(under_way: UnderWay, scenario: Scenario) -> None:
    """The scenario asserts by itself what came of it; what failed in it fails here."""
    await under_way[scenario]
