"""A TCP proxy in front of the real API server that can cut, refuse and swallow."""

import asyncio
import contextlib
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import yaml


class Proxy:
    """Passes bytes on, TLS and all; `kubeconfig(directory)` leads through it."""

    def __init__(self, kubeconfig: Path) -> None:
        self._config = yaml.safe_load(kubeconfig.read_text())
        server = urlsplit(self._config["clusters"][0]["cluster"]["server"])
        self._host, self._upstream = server.hostname, server.port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        self._flowing.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kubeconfig(self, directory: Path) -> Path:
        cluster = self._config["clusters"][0]["cluster"]
        # The certificate is the real server's: ask for its name, wherever the proxy listens.
        changed = {"server": f"https://127.0.0.1:{self.port}", "tls-server-name": self._host}
        clusters = [
            {"name": entry["name"], "cluster": {**cluster, **changed}}
            for entry in self._config["clusters"]
        ]
        path = directory / "proxied.kubeconfig"
        path.write_text(yaml.safe_dump({**self._config, "clusters": clusters}))
        return path

    async def listen(self) -> None:
        """Take connections (again)."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut what is open and take no more."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every open connection."""
        for writer in self._writers:
            writer.transport.abort()

    def swallow(self) -> None:
        """Keep connections open and let nothing through."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything through again, what was held back first."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._host, self._upstream)
        for pair in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass(*pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    await self._flowing.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
