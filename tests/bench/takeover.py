"""How long nobody works when the leader ends: killed, or asked to, as a rolling update does.

python -m hack.cluster up --name simulated && python -m tests.bench.takeover [--rounds 5]

Two operators with the default times of the Lease. The clock runs from the signal until the other
one has made the Pod of a run that was created as soon as the leader had ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import PODS
from tests.bench.arena import arena
from tests.bench.machine import ROOT
from tests.bench.model import QUICK
from tests.builders import make_workflow
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.team import Team
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.arena import Arena

LEASE = {"duration": 18, "renewDeadline": 16, "retryPeriod": 1}
"""The defaults, written down: the tests use shorter ones."""


async def measure(scene: Arena, *, kill: bool) -> float:
    """Seconds from the signal to the first Pod that the other operator made."""
    lease = {**LEASE, "name": f"lease-{uuid.uuid4().hex[:6]}"}
    team = Team(scene.client, scene.namespace)
    workflow = make_workflow().job("a").on(scene.machine_type.name)
    leader, standby = (
        OperatorProcess(scene.kubeconfig, scene.namespace, scene.folder, identity=name, lease=lease)
        for name in ("first", "second")
    )
    try:
        leader.start()
        await leader.ready()
        standby.start()
        await standby.says("listening")
        await team.ended(await team.start(workflow), "Succeeded")
        # The leader has just renewed: nothing of its time has passed yet.
        began = time.monotonic()
        await asyncio.to_thread(leader.kill if kill else leader.terminate)
        run = await team.start(workflow)
        await eventually(lambda: _has_pod(scene, run), seconds=60, pause=0.02)
        seconds = time.monotonic() - began
        await team.ended(run, "Succeeded")
        return seconds
    finally:
        leader.stop()
        standby.stop()


async def _has_pod(scene: Arena, run: str) -> None:
    listed = await scene.client.list_all(
        PODS, namespace=scene.namespace, label_selector=f"gradient.run/run={run}"
    )
    assert listed.items, "no Pod yet"


async def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.takeover")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["kill", "update"], help="one of the two ends")
    parser.add_argument("--kubeconfig", type=Path, default=ROOT / ".local" / "simulated.kubeconfig")
    options = parser.parse_args(arguments)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = await KubeClient.connect(options.kubeconfig, user_agent="takeover")
        await stack.enter_async_context(client)
        scene = await stack.enter_async_context(
            arena(client, kubeconfig=options.kubeconfig, sizes=QUICK, folder=folder)
        )
        print("| leader ends | rounds | median s | slowest s |\n| --- | --- | --- | --- |")
        for words, kill in (("killed (SIGKILL)", True), ("rolling update (SIGTERM)", False)):
            if options.only == ("update" if kill else "kill"):
                continue
            found = [await measure(scene, kill=kill) for _ in range(options.rounds)]
            middle, worst = statistics.median(found), max(found)
            print(f"| {words} | {len(found)} | {middle:.2f} | {worst:.2f} |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
