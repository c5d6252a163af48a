"""What requests and watched events cost: over the operator's own connections and over aiohttp.

python -m hack.cluster up --name simulated && python -m tests.bench.requests [--rounds 5]

Each round sends patches of the status of Pods, about as large as those of a run, in turns over
both, one after the other and sixteen at once, and watches what came of them from the beginning.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.credentials import load_credentials
from gradient_operator.kube.resources import NAMESPACES, PODS
from gradient_operator.kube.transport import Transport
from tests.bench.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

KUBECONFIG = ROOT / ".local" / "simulated.kubeconfig"
PATCHES = 800
MOST_AT_ONCE = 16


class OverAiohttp(Transport):
    """As it is where there is a proxy."""

    _exchange = Transport._over_aiohttp
    _stream = Transport._stream_over_aiohttp


async def measure(client: KubeClient, namespace: str, *, at_once: int) -> tuple[float, float]:
    """Microseconds of processor time, and of time, for one patch."""
    each = PATCHES // at_once

    async def send(pod: int) -> None:
        for number in range(each):
            conditions = [{"type": f"c-{each}", "status": "True"} for each in range(5)]
            body = {"status": {"conditions": conditions, "message": f"{uuid.uuid4()} {number}"}}
            await client.merge_patch(
                PODS, body, name=f"p-{pod}", namespace=namespace, subresource="status", brief=True
            )

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send(pod) for pod in range(at_once)))
    sent, spent = each * at_once, time.process_time() - used
    return spent / sent * 1e6, (time.perf_counter() - began) / sent * 1e6


async def watch(client: KubeClient, namespace: str, version: str) -> tuple[float, float]:
    """Microseconds of processor time, and of time, for one event of many that wait."""
    began, used, seen = time.perf_counter(), time.process_time(), 0
    events = client.watch(PODS, namespace=namespace, resource_version=version)
    async with aclosing(events):
        async for _ in events:
            seen += 1
            if seen == PATCHES:
                break
    spent = time.process_time() - used
    return spent / seen * 1e6, (time.perf_counter() - began) / seen * 1e6


async def _make_pods(client: KubeClient) -> str:
    namespace = f"requests-{uuid.uuid4().hex[:6]}"
    await client.create(NAMESPACES, {"metadata": {"name": namespace}})
    spec = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]}
    for number in range(MOST_AT_ONCE):
        metadata = {"name": f"p-{number}"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        await client.create(PODS, body, namespace=namespace)
    return namespace


async def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.requests")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(arguments).rounds
    credentials = load_credentials(KUBECONFIG)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    async with (
        KubeClient(credentials, user_agent="bench") as own,
        KubeClient(credentials, user_agent="bench") as other,
    ):
        await other._transport.close()
        other._transport = OverAiohttp(credentials, user_agent="bench")
        namespace = await _make_pods(own)
        try:
            for number in range(rounds + 1):
                for name, client in (("own", own), ("aiohttp", other)):
                    version = (await own.list_all(PODS, namespace=namespace)).resource_version
                    row = {}
                    for at_once in (1, MOST_AT_ONCE):
                        row[f"patch, {at_once} at once"] = await measure(
                            client, namespace, at_once=at_once
                        )
                    row["watched event"] = await watch(client, namespace, version)
                    if number:  # the first is for connections and caches
                        for what, measured in row.items():
                            found.setdefault((name, what), []).append(measured)
        finally:
            await own.delete(NAMESPACES, name=namespace)
    print(f"{'connections':<12} {'what':<18} {'processor, us':<24} time, us")
    for (name, what), values in found.items():
        cells = [_cell([value[column] for value in values]) for column in (0, 1)]
        print(f"{name:<12} {what:<18} {cells[0]:<24} {cells[1]}")


def _cell(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    asyncio.run(main())
