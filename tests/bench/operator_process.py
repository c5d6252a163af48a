"""The operator as users run it: a process with its own configuration, lease and endpoints."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from tests.bench import exposition, machine
from tests.bench.model import BenchError
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.bench.exposition import Scrape
    from tests.bench.machine import Usage

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 90.0
_POLL: Final = 0.25
_SETTLE_POLL: Final = 1.0
"""Seconds between two readings at the end of a load: reading costs the operator time of its own."""
_PREFIX: Final = "gradient_operator_"
PATIENT: Final[Mapping[str, float]] = {"duration": 90, "renewDeadline": 60}
"""A machine that is too busy to renew a lease in time shall give bad figures, not none."""
_OWN_AFFAIRS: Final = frozenset({"leases"})
"""Requests that an idle operator sends, too."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the operator says of itself and what the system says of it, at one moment."""

    metrics: Scrape
    usage: Usage


@dataclass(slots=True)
class OperatorProcess:
    """A running operator that leads."""

    process: asyncio.subprocess.Process
    port: int
    log: Path
    session: aiohttp.ClientSession
    idle: Usage

    async def read(self) -> Reading:
        """Metrics and usage, now."""
        return Reading(await self._scrape(), machine.usage(self.process.pid))

    async def ended(self) -> None:
        """Wait for an end that nobody asked for.

        Raises:
            BenchError: the process has ended.
        """
        code = await self.process.wait()
        raise BenchError(
            f"the operator ended with exit code {code}; its last words: {self.words()}"
        )

    def words(self) -> str:
        """The last warnings in its log."""
        return words(self.log)

    async def settle(self) -> Reading:
        """Wait until it has nothing more to do: no key waits, and no request is sent."""
        until = time.monotonic() + SETTLE_SECONDS
        before = await self.read()
        while True:
            await asyncio.sleep(_SETTLE_POLL)
            now = await self.read()
            if not _at_work(now.metrics) and requests(now.metrics) == requests(before.metrics):
                return now
            if time.monotonic() > until:
                raise BenchError(
                    f"the operator still sends requests {SETTLE_SECONDS:.0f} s after the last run "
                    f"ended: {dict(requests(now.metrics - before.metrics))}"
                )
            before = now

    async def _scrape(self) -> Scrape:
        async with self.session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return exposition.parse(await answer.text(), names=(_PREFIX,))


def _at_work(metrics: Scrape) -> bool:
    """Whether keys wait, or a worker has one."""
    waiting = metrics.total(f"{_PREFIX}workqueue_depth")
    return waiting + metrics.total(f"{_PREFIX}workqueue_unfinished_work_seconds") > 0


def requests(metrics: Scrape, *, own_affairs: bool = False) -> dict[tuple[str, str], int]:
    """Requests by verb and resource; without `own_affairs` those that have to do with the work."""
    found = metrics.by(f"{_PREFIX}api_requests_total", "verb", "resource")
    return {
        (verb, resource): count
        for (verb, resource), count in found.items()
        if count and (own_affairs or resource not in _OWN_AFFAIRS)
    }


def refusals(metrics: Scrape) -> dict[str, int]:
    """Requests that the API server did not grant, by `verb resource code`."""
    found = metrics.by(f"{_PREFIX}api_requests_total", "verb", "resource", "code")
    return {
        " ".join(key): count for key, count in found.items() if count and not key[2].startswith("2")
    }


def reaction(metrics: Scrape) -> dict[float, float]:
    """The buckets of the time from noticing that a job is ready to sending its Pod."""
    return metrics.buckets(f"{_PREFIX}reaction_seconds")


def words(log: Path) -> str:
    """The last warnings in a log, for a person who must find out what went wrong."""
    lines = [line for line in records(log) if line.get("level") not in {"info", "debug"}]
    return "; ".join(line.get("msg", "") for line in lines[-3:]) or f"no warning in {log}"


def records(log: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log; other lines (a traceback) as errors."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"level": "error", "msg": line})
    return [record for record in found if isinstance(record, dict)]


@asynccontextmanager
async def operating(
    *,
    kubeconfig: Path,
    namespace: str,
    finalizer: bool,
    folder: Path,
    lease: Mapping[str, float] = PATIENT,
) -> AsyncIterator[OperatorProcess]:
    """Start an operator for one namespace, wait until it leads and is idle, and stop it at the end.

    Its configuration and log go into `folder`, which must be empty.

    Raises:
        BenchError: it ended, or did not begin to lead in time.
    """
    config = folder / "config.json"  # JSON is YAML
    settings = {
        "watchNamespace": namespace,
        "listenPort": 0,
        "podFinalizer": finalizer,
        "lease": dict(lease),
    }
    config.write_text(json.dumps(settings))
    log = folder / "operator.log"
    program = Path(sys.executable).with_name("gradient-operator")
    if not program.exists():
        raise BenchError(f"{program} is missing; make it with: uv sync")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            "--config",
            config,
            "--kubeconfig",
            kubeconfig,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(kubeconfig, namespace=namespace, name=folder.name),
            start_new_session=True,  # Ctrl-C is for the bench, which stops it in order
        )
    try:
        async with aiohttp.ClientSession() as session:
            yield await _started(process, log, session)
    finally:
        await _stop(process)


def _environment(kubeconfig: Path, *, namespace: str, name: str) -> dict[str, str]:
    """A Pod's, and the kubeconfig for kopf, which reads it from there alone."""
    given = {"KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": namespace, "POD_NAME": name}
    return {**os.environ, **given}


class _NotLeadingError(BenchError):
    """The operator runs and may yet lead."""


async def _started(
    process: asyncio.subprocess.Process, log: Path, session: aiohttp.ClientSession
) -> OperatorProcess:
    until = time.monotonic() + START_SECONDS

    async def leading() -> int:
        messages = {record.get("msg"): record for record in records(log)}
        if process.returncode is not None:
            raise BenchError(f"the operator does not start: {words(log)}")
        if "listening" not in messages or "leading" not in messages:
            raise _NotLeadingError(f"the operator does not come to lead: {words(log)}")
        return int(messages["listening"]["port"])

    port = await eventually(leading, seconds=START_SECONDS, not_yet=_NotLeadingError)
    operator = OperatorProcess(process, port, log, session, machine.usage(process.pid))
    await _idle(operator, until)
    return operator


async def _idle(operator: OperatorProcess, until: float) -> None:
    """Wait until the caches are full and the start's own work is over: it is not the load's."""
    before = operator.idle.cpu_seconds
    while time.monotonic() < until:
        await asyncio.sleep(_POLL)
        operator.idle = machine.usage(operator.process.pid)
        if operator.idle.cpu_seconds - before < _POLL / 10 and await _ready(operator):
            return
        before = operator.idle.cpu_seconds
    raise BenchError(f"the operator is not ready after {START_SECONDS:.0f} s: {operator.words()}")


async def _ready(operator: OperatorProcess) -> bool:
    async with operator.session.get(f"http://127.0.0.1:{operator.port}/readyz") as answer:
        return answer.ok


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
