"""The way from one process to the server: numbered points, faults, and the process's death.

It stands where the operator's connection pool stands; what lies above (client, retries, caches) is
the operator's own.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gradient_operator.kube.client import KubeClient, RetryPolicy, Timeouts
from gradient_operator.kube.errors import Gone, KubeError, Unreachable
from gradient_operator.kube.transport import IN_FLIGHT, Call, Transport
from tests.world.server import Address, Change, Server, address_of

TRIP = 0.002
"""Seconds from the process to the server, and back."""
_END, _SILENCE = object(), object()


@dataclass(frozen=True)
class Fault:
    """What becomes of one request: an error before it, after it was done, or slowness."""

    error: KubeError | None = None
    done: bool = False
    slow: float = 0.0


@dataclass
class Troubles:
    """What is wrong with the way. Nothing, unless somebody says so."""

    fault: Callable[[Call], Fault | None] = lambda call: None
    delay: Callable[[str], float] = lambda plural: 0.0
    """How late news of a kind come, in seconds."""
    refusing: bool = False


class Line(Transport):
    """Requests become calls of the server; each has a point before it, a write one after it, too.

    After a read, and around an Event (a courtesy that nobody waits for), the server is as it was at
    the point before. At point `die_at` the process is gone: nothing of it takes effect any more.
    """

    def __init__(self, server: Server, *, by: str, die_at: int | None = None) -> None:
        self._server = server
        self._retries = RetryPolicy()
        self._observer = None
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self.by = by
        self.troubles = Troubles()
        self.points = 0
        self.log: list[str] = []
        self.dead = asyncio.Event()
        self._die_at = die_at
        self._streams: set[asyncio.Queue[Any]] = set()

    def client(self) -> KubeClient:
        made = KubeClient.__new__(KubeClient)
        made.server, made.default_namespace = "memory", "default"
        made._transport, made._fence = self, None
        return made

    async def close(self) -> None:
        return

    def cut(self) -> None:
        """Break every open watch."""
        for stream in self._streams:
            stream.put_nowait(Unreachable("the watch was cut"))

    def end_with(self, error: KubeError) -> None:
        """Send an ERROR event on every open watch."""
        status = {"kind": "Status", "code": error.status, "reason": error.reason, "message": "x"}
        for stream in self._streams:
            stream.put_nowait((0.0, {"type": "ERROR", "object": status}))

    def silence(self) -> None:
        """Let nothing more through on the open watches; the client gives up on them in time."""
        for stream in self._streams:
            stream.put_nowait(_SILENCE)

    def die(self) -> None:
        self.dead.set()

    def _point(self, call: Call, when: str) -> None:
        if self.dead.is_set():
            raise asyncio.CancelledError
        if call.resource == "events" or (when == "after" and call.method == "GET"):
            return
        self.points += 1
        self.log.append(f"{when} {call.method} {call.path}")
        if self.points == self._die_at:
            self.die()
            raise asyncio.CancelledError

    async def _once(self, call: Call) -> bytes:
        async with self._turns:
            self._point(call, "before")
            if call.fence is not None:
                call.fence()
            fault = self.troubles.fault(call) or Fault()
            if self.troubles.refusing:
                await asyncio.sleep(TRIP)
                raise Unreachable("connection refused", sent=False)
            await asyncio.sleep(TRIP + fault.slow)
            if self.dead.is_set():
                raise asyncio.CancelledError
            if fault.error is not None and not fault.done:
                raise fault.error
            answer = self._serve(call)
            self._point(call, "after")
            await asyncio.sleep(TRIP)
            if fault.error is not None:
                raise fault.error
            return answer

    def _serve(self, call: Call) -> bytes:
        address = address_of(call.path)
        body = json.loads(call.body) if call.body else {}
        match call.method:
            case "GET" if address.name:
                found = self._server.get(address)
            case "GET":
                found = self._server.listed(address, dict(call.query))
            case "POST":
                found = self._server.create(address, body, by=self.by)
            case "PATCH" if "merge" in call.content_type:
                found = self._server.patch(address, body, by=self.by)
            case "DELETE":
                found = self._server.delete(address, body, by=self.by)
            case _:
                raise NotImplementedError(f"{call.method} {call.content_type}")
        return json.dumps({"metadata": found["metadata"]} if call.brief else found).encode()

    @asynccontextmanager
    async def stream(
        self, call: Call, *, patient: bool = False
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        address, query = address_of(call.path), dict(call.query)
        self._point(call, "before")
        await asyncio.sleep(TRIP)
        fault = self.troubles.fault(call)
        if self.troubles.refusing:
            raise Unreachable("connection refused", sent=False)
        if fault is not None and fault.error is not None:
            raise fault.error
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for event in self._opening(address, query):
            queue.put_nowait((0.0, event))

        def listen(change: Change) -> None:
            due = asyncio.get_running_loop().time() + TRIP + self.troubles.delay(change.plural)
            for told in self._server.told(change, address, query):
                queue.put_nowait((due, told))

        self._server.listeners.append(listen)
        self._streams.add(queue)
        timer = asyncio.get_running_loop().call_later(
            float(query.get("timeoutSeconds", 300)), queue.put_nowait, _END
        )
        try:
            yield self._events(queue)
        finally:
            timer.cancel()
            self._streams.discard(queue)
            self._server.listeners.remove(listen)

    def _opening(self, address: Address, query: dict[str, str]) -> list[dict[str, Any]]:
        since = int(query["resourceVersion"])
        try:
            return list(self._server.changes(address, query, since))
        except Gone as gone:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": str(gone)}
            return [{"type": "ERROR", "object": status}]

    async def _events(self, queue: asyncio.Queue[Any]) -> AsyncGenerator[bytes]:
        while (entry := await queue.get()) is not _END:
            if entry is _SILENCE:
                await asyncio.sleep(Timeouts().silence)
                raise Unreachable("the watch was silent")
            if isinstance(entry, KubeError):
                raise entry
            due, event = entry
            late = due - asyncio.get_running_loop().time()
            if late > 0:
                await asyncio.sleep(late)
            yield json.dumps(event).encode() + b"\n"
