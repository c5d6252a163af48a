"""The real operator as a process of its own: started, asked, killed, started again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.waiting import eventually

PROGRAM = Path(sys.executable).parent / "gradient-operator"
QUICK_LEASE = {"duration": 8, "renewDeadline": 6, "retryPeriod": 0.25}


class OperatorProcess:
    """One installation: its configuration, and the process that runs now, if one does.

    Installations do not meet: each watches one namespace and has a lease of its own in it.
    """

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        folder: Path,
        *,
        identity: str = "one",
        **config: Any,
    ) -> None:
        self.namespace = namespace
        self._identity = identity
        self._log = folder / f"{identity}.log"
        self._config = folder / f"{identity}.json"
        self._kubeconfig = kubeconfig
        settings = {
            "watchNamespace": namespace,
            "listenPort": 0,
            "lease": {"name": "operator-under-test", **QUICK_LEASE},
            **config,
        }
        self._config.write_text(json.dumps(settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; `ready` waits until it leads."""
        assert not self.running
        self._begin = self._log.stat().st_size if self._log.exists() else 0
        environment = os.environ | {"POD_NAMESPACE": self.namespace, "POD_NAME": self._identity}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(PROGRAM),
                    f"--config={self._config}",
                    f"--kubeconfig={self._kubeconfig}",
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> list[dict[str, Any]]:
        """What the present process has logged; every line of it is JSON."""
        with self._log.open("rb") as log:
            log.seek(self._begin)
            lines = log.read().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    async def says(self, message: str) -> dict[str, Any]:
        """Wait until it has logged this message."""

        async def ask() -> dict[str, Any]:
            assert self.running, f"the operator has ended:\n{self._log.read_text()[-4_000:]}"
            found = [line for line in self.log() if line["msg"] == message]
            assert found, f"the operator has not said {message!r}"
            return found[0]

        return await eventually(ask)

    async def ready(self) -> None:
        """Wait until it leads and works."""
        await self.says("leading")

    async def get(self, path: str) -> str:
        """Ask one of its endpoints."""
        port = (await self.says("listening"))["port"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in (await self.get("/metrics")).splitlines():
            key, _, value = line.rpartition(" ")
            wanted = all(f'{label}="{text}"' in key for label, text in labels.items())
            if key.partition("{")[0] == f"gradient_operator_{name}" and wanted:
                total += float(value)
        return total

    def kill(self) -> None:
        """End it without warning, as a lost node does."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask it to end, as a rolling update does; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def pause(self) -> None:
        """Let it do nothing, not even notice it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def ends(self) -> int:
        """Wait until it has ended by itself."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, 30)

    def stop(self) -> None:
        """End it if it runs."""
        if self.running:
            self.resume()
            self.kill()
