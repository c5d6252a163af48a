"""B5 and B6: what runs of the past cost an operator, when nothing happens and when it starts."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.times import format_time
from gradient_operator.kube.resources import PODS, RUNS
from tests.bench import definitions
from tests.bench.model import BenchError, Contestant, Figure, Load, Measurement
from tests.bench.observer import Observer
from tests.bench.operator_process import PATIENT, operating, requests
from tests.bench.stage import together
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.arena import Arena
    from tests.bench.operator_process import OperatorProcess

_AGO_SECONDS: Final = 3_600.0
"""How long ago the runs of the past ended: not so long that the operator deletes them by age."""


async def _finished(arena: Arena, number: int) -> None:
    """Make runs that have ended, as an operator leaves them."""
    jobs = {"Only": definitions.job(arena.machine_type.name)}
    runs = [arena.new_run(jobs) for _ in range(number)]
    await asyncio.gather(*(_make_finished(arena, run) for run in runs))


async def _make_finished(arena: Arena, run: dict[str, Any]) -> None:
    name, then = run["metadata"]["name"], format_time(time.time() - _AGO_SECONDS)
    await arena.client.create(RUNS, run, brief=True)
    status = {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "progress": "1/1",
        "message": "",
        "startedAt": then,
        "finishedAt": then,
        "jobs": {
            "Only": {
                "phase": "Succeeded",
                "attempt": 1,
                "pod": f"{name}-only-1-abcdefgh",
                "node": "cpu-1",
                "readyAt": then,
                "startedAt": then,
                "finishedAt": then,
                "exitCode": 0,
            }
        },
    }
    await arena.client.merge_patch(
        RUNS,
        {"status": status},
        name=name,
        namespace=arena.namespace,
        subresource="status",
        brief=True,
    )


async def _submitted(arena: Arena, number: int, *, machine: str) -> None:
    jobs = {"Only": definitions.job(machine)}
    runs = [arena.new_run(jobs) for _ in range(number)]
    await asyncio.gather(*(arena.client.create(RUNS, run, brief=True) for run in runs))


async def _idle(arena: Arena, _: Contestant) -> Measurement:
    sizes = arena.sizes
    await _finished(arena, sizes.finished)
    await _submitted(arena, sizes.running, machine=arena.manual_type)
    async with _operator(arena, lease={}) as process:  # as users have it: its renewals count
        await _let_run(arena, sizes.running)
        await _until_quiet(process)
        before = await process.read()
        await asyncio.sleep(sizes.idle)
        after = await process.read()
    sent = requests(after.metrics - before.metrics, own_affairs=True)
    leases = sum(count for (_, resource), count in sent.items() if resource == "leases")
    watches = sum(count for (verb, _), count in sent.items() if verb == "watch")
    minutes = sizes.idle / 60
    spent = after.usage.cpu_seconds - before.usage.cpu_seconds
    return Measurement(
        {
            "rss": after.usage.resident_mib,
            "cpu": spent / sizes.idle * 100,
            "calls": (sum(sent.values()) - leases - watches) / minutes,
            "leases": leases / minutes,
            "watches": watches / minutes,
        },
        {"runs": sizes.finished + sizes.running},
    )


async def _let_run(arena: Arena, number: int) -> None:
    """Play the kubelet: when all Pods have a node, let them run for ever."""

    async def bound() -> list[dict[str, Any]]:
        pods = (await arena.client.list_all(PODS, namespace=arena.namespace)).items
        have = sum("nodeName" in pod["spec"] for pod in pods)
        if have < number:
            raise BenchError(
                f"{have} of {number} Pods have a node: kubectl get pods -n {arena.namespace}"
            )
        return pods

    pods = await eventually(bound, pause=0.5, not_yet=BenchError)
    state = {"running": {"startedAt": format_time(time.time())}}
    main = {"name": "main", "image": "i", "imageID": "", "restartCount": 0, "ready": True}
    status = {"phase": "Running", "containerStatuses": [{**main, "state": state}]}
    await asyncio.gather(
        *(
            arena.client.merge_patch(
                PODS,
                {"status": status},
                name=pod["metadata"]["name"],
                namespace=arena.namespace,
                subresource="status",
                brief=True,
            )
            for pod in pods
        )
    )


async def _until_quiet(process: OperatorProcess) -> None:
    await process.settle()
    await asyncio.sleep(_CALM)
    await process.settle()


_CALM: Final = 3.0
"""Seconds in which statuses that wait for a second are written."""


def _operator(arena: Arena, *, lease: Mapping[str, float] = PATIENT) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="operator-", dir=arena.folder))
    return operating(
        kubeconfig=arena.kubeconfig,
        namespace=arena.namespace,
        finalizer=True,
        folder=folder,
        lease=lease,
    )


async def _start(arena: Arena, _: Contestant) -> Measurement:
    sizes = arena.sizes
    await _finished(arena, sizes.history)
    await _submitted(arena, sizes.submitted, machine=arena.machine_type.name)
    seen = Observer(arena.client, arena.namespace)
    await seen.begin(empty=False)

    async def watch() -> Measurement:
        began = seen.now()
        async with _operator(arena) as process:
            await seen.until_finished(sizes.submitted)
            ended = seen.now()
            usage = (await process.read()).usage
        pods = [pod.created for pod in seen.pods.values()]
        if len(pods) != sizes.submitted:
            raise BenchError(f"{len(pods)} Pods were seen for {sizes.submitted} jobs")
        return Measurement(
            {
                "first": min(pods) - began,
                "all": max(pods) - began,
                "ended": ended - began,
                "cpu": usage.cpu_seconds,
                "rss": usage.peak_mib,
            },
            {"pods": len(pods)},
        )

    return await together(watch(), seen.follow_pods())


LOADS: Final = (
    Load(
        key="B5",
        title="{finished:,} finished runs and {running} under way, in which nothing happens",
        explanation=(
            "The runs under way have one job each, whose Pod runs on. Measured for {idle} "
            "s, after the operator has taken all of them up. Renewals of its lease and watches "
            "that are opened again are counted apart."
        ),
        figures=(
            Figure("cpu", "one processor's share", "%", 2),
            Figure("rss", "memory (RSS)", "MiB", 0),
            Figure("calls", "requests", "1/min", 1),
            Figure("leases", "renewals of the lease", "1/min", 1),
            Figure("watches", "watches opened", "1/min", 1),
        ),
        seconds=1_800,
        rounds=1,
        run=_idle,
        contestants=(Contestant.OPERATOR,),
        long=True,
        ours=True,
    ),
    Load(
        key="B6",
        title="a start with {history:,} finished runs and {submitted} new ones",
        explanation=(
            "{submitted} runs of one instant job were sent while there was no operator. Times "
            "count from the start of its process; it has to win its lease, too."
        ),
        figures=(
            Figure("first", "until the first Pod is seen", "s", 2),
            Figure("all", "until all Pods are seen", "s", 2),
            Figure("ended", "until all Pods have finished", "s", 2),
            Figure("cpu", "processor time", "s", 2),
            Figure("rss", "peak memory (RSS)", "MiB", 0),
        ),
        seconds=900,
        rounds=1,
        run=_start,
        contestants=(Contestant.OPERATOR,),
        long=True,
        ours=True,
    ),
)
