"""An HTTP proxy in front of the real API server that does what broken networks and servers do.

It speaks HTTPS with the server and plain HTTP with its one client, reads every request, keeps a log
of what was written, and asks a `Plan` what is to become of each. A plan is a schedule drawn from a
seed: the same seed draws the same faults for the same requests in the same order.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import yaml
from aiohttp import web

from gradient_operator.kube.credentials import load_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = ("POST", "PATCH", "PUT", "DELETE")
KINDS = (
    "throttled",  # 429 with Retry-After
    "broken",  # 500
    "unavailable",  # 503
    "refused",  # the connection is reset before anything was done
    "conflict",  # 409 though nobody else has written
    "unheard",  # done, but the answer is lost
    "slow",
    "stale",  # a list of earlier
    "gone",  # 410, or an ERROR event on a watch that runs
    "cut",  # a watch breaks in the middle of a line
    "silent",  # a watch says nothing more, and is not closed
)


@dataclass(frozen=True)
class Request:
    """What a plan sees of a request."""

    method: str
    path: str
    query: dict[str, str]

    @property
    def watch(self) -> bool:
        return "watch" in self.query

    @property
    def lists(self) -> bool:
        """Whether it fills a cache; a list that a decision rests on is never stale."""
        plural = self.path.rpartition("/")[2]
        filled = ("pods", "gradientruns", "gradientdatasets", "gradientdatasetversions")
        return (
            self.method == "GET"
            and not self.watch
            and plural in filled
            and "fieldSelector" not in self.query
            and "gradient.run/dataset" not in self.query.get("labelSelector", "")
        )

    @property
    def lease(self) -> bool:
        return "/leases" in self.path


@dataclass
class Plan:
    """Faults by chance: `rate` of requests, of `kinds`; Leases only if `leases` says so."""

    seed: int
    rate: float = 0.2
    kinds: tuple[str, ...] = KINDS
    leases: bool = False
    most: int = 60
    drawn: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, request: Request) -> str:
        """What becomes of a request: one of `KINDS`, or nothing special."""
        number, choice = self._random.random(), self._random.random()
        rate = 2 * self.rate if request.watch else self.rate  # there are few of them
        if number >= rate or sum(self.drawn.values()) >= self.most:
            return ""
        if request.lease and not self.leases:
            return ""
        possible = [kind for kind in self.kinds if fits(kind, request)]
        if not possible:
            return ""
        kind = possible[int(choice * len(possible))]
        self.drawn[kind] += 1
        return kind


def fits(kind: str, request: Request) -> bool:
    """Whether a fault can happen to such a request."""
    if kind in ("gone", "cut", "silent"):
        return request.watch
    if kind == "stale":
        return request.lists
    if kind in ("conflict", "unheard"):
        return request.method in WRITES and (kind == "unheard" or request.method == "PATCH")
    return not (request.watch and kind == "slow")


def calm(_: Request) -> str:
    """Nothing is wrong."""
    return ""


class FaultProxy:
    """`kubeconfig(folder)` leads through it. `retry_after` and `slow` are in seconds."""

    def __init__(self, kubeconfig: Path, *, slow: float = 0.5) -> None:
        self._kubeconfig = kubeconfig
        self._found = load_credentials(kubeconfig)
        self._slow = slow
        self.draw: Callable[[Request], str] = calm
        self.done: Callable[[Request], None] | None = None
        """Called when the server has done a write, before the client hears of it."""
        self.written: list[Request] = []
        self.requests: list[Request] = []
        self.outage = False
        self.gate = asyncio.Event()
        """What a plan calls `held` waits for this before it reaches the server."""
        self.refused = 0
        self._stale: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._streams: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        assert self._session is not None
        self.cut()
        await self._runner.cleanup()
        assert self._session.connector is not None
        # No farewell of TLS: the loop may be closed before the server has answered it.
        await self._session.connector.close(abort_ssl=True)
        await self._session.close()

    def kubeconfig(self, folder: Path) -> Path:
        """For a client without credentials: the proxy has them."""
        cluster = {"server": f"http://127.0.0.1:{self.port}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxied", "cluster": cluster}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "proxied", "user": "nobody"}}],
            "current-context": "it",
        }
        path = folder / "fault-proxy.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def cut(self) -> None:
        """Break every watch that runs."""
        for task in list(self._streams):
            task.cancel()

    def fenced(self) -> list[Request]:
        """What was written through this proxy, Leases apart."""
        return [each for each in self.written if not each.lease]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Request(request.method, request.path, dict(request.query))
        self.requests.append(seen)
        if self.outage:
            self.refused += 1
            return _reset(request)
        kind = self.draw(seen)
        early = await self._early(request, seen, kind)
        if early is not None:
            return early
        headers = {
            name: request.headers[name]
            for name in ("Accept", "Content-Type", "User-Agent")
            if name in request.headers
        }
        if authorization := await self._found.authorization.header():
            headers["Authorization"] = authorization
        assert self._session is not None
        async with self._session.request(
            request.method,
            self._found.server + str(request.rel_url),
            data=body or None,
            headers=headers,
            ssl=self._found.tls or True,
            server_hostname=self._found.tls_name,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        ) as answer:
            if seen.watch and answer.status == 200:
                return await self._stream(request, answer, kind)
            return await self._answer(request, seen, answer, kind)

    async def _early(self, request: web.Request, seen: Request, kind: str) -> Any:
        """The answer to a request that does not reach the server."""
        if kind == "throttled":
            return _status(429, "TooManyRequests", {"Retry-After": "1"})
        if kind == "expired":
            return _status(410, "Expired")
        if kind in ("broken", "unavailable"):
            return _status(500 if kind == "broken" else 503, "")
        if kind == "refused":
            return _reset(request)
        if kind == "conflict":
            return _status(409, "Conflict")
        if kind == "gone" and int(seen.query.get("timeoutSeconds", 0)) % 2:
            return _status(410, "Expired")
        if kind == "slow":
            await asyncio.sleep(self._slow)
        if kind == "held":
            await self.gate.wait()
        if kind == "stale" and (known := self._stale.get(str(request.rel_url))):
            return web.Response(body=known, content_type="application/json")
        return None

    async def _answer(
        self, request: web.Request, seen: Request, answer: aiohttp.ClientResponse, kind: str
    ) -> web.StreamResponse:
        said = await answer.read()
        if seen.method in WRITES and answer.status < 300:
            self.written.append(seen)
            if self.done is not None:
                self.done(seen)
        if seen.lists and answer.status == 200:
            # A list of half a second ago, and older each time that it is asked for.
            self._stale.setdefault(str(request.rel_url), said)
        if kind == "unheard":
            return _reset(request)
        headers = {
            name: answer.headers[name]
            for name in ("Content-Type", "Retry-After", "Content-Encoding")
            if name in answer.headers
        }
        return web.Response(status=answer.status, body=said, headers=headers)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, kind: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            async for line in answer.content:
                if kind == "gone":
                    error = {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}
                    await response.write(json.dumps({"type": "ERROR", "object": error}).encode())
                    await response.write(b"\n")
                    return response
                if kind == "cut":
                    await response.write(line[: len(line) // 2])
                    return _reset(request, response)
                if kind == "silent":
                    await asyncio.Event().wait()  # for ever: until its client, or `cut`, ends it
                await response.write(line)
        except asyncio.CancelledError:
            return _reset(request, response)
        finally:
            self._streams.discard(task)
        return response


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> Any:
    """Break the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()


def _status(code: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": "injected"}
    return web.json_response(body, status=code, headers=headers)
