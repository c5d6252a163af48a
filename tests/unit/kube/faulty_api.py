"""A small API server in memory that can be told to fail.

It serves list (in pages), watch (with bookmarks), create, merge and JSON patch, apply and delete
for any kind, with resource versions and preconditions as the real one has them. Faults are either
scripted for one request (`next`), or done to what is open (`cut_watches`).
"""

import asyncio
import json
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gradient_operator.kube.client import KubeClient, RetryPolicy, Timeouts
from gradient_operator.kube.credentials import Credentials, FixedHeader
from tests.unit.kube.faults import Answer, status

FAST_RETRIES = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=2.0)


@dataclass(frozen=True)
class Request:
    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float


@dataclass(frozen=True)
class Change:
    version: int
    kind: str
    plural: str
    item: dict[str, Any]
    before: dict[str, Any] | None


@dataclass(eq=False)
class Watch:
    plural: str
    namespace: str | None
    selector: str | None
    queue: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def tell(self, change: Change) -> None:
        """Send the change as this watch sees it: leaving the selection is a deletion."""
        kind = change.kind
        before = change.before is not None and self._sees(change.plural, change.before)
        after = self._sees(change.plural, change.item)
        if kind == "MODIFIED" and before != after:
            kind = "DELETED" if before else "ADDED"
        if before or after:
            self.queue.put_nowait(_line(kind, change.item))

    def _sees(self, plural: str, item: dict[str, Any]) -> bool:
        return (
            plural == self.plural
            and self.namespace in (None, item["metadata"]["namespace"])
            and _matches(self.selector, item)
        )


class FaultyApi:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.version = 100
        self.compacted = 0
        self.page_size: int | None = None
        self._history: list[Change] = []
        self._watches: list[Watch] = []
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Event()
        self._opened = asyncio.Event()
        self._left = asyncio.Event()
        self.port = 0

    # Faults ---------------------------------------------------------------------------------

    def next(self, verb: str, *answers: Answer) -> None:
        """Give the next requests of `verb` these answers."""
        self._scripts[verb].extend(answers)

    def compact(self) -> None:
        """Forget the history: watches can go on from the present version only."""
        self.compacted = self.version
        self._history.clear()

    def cut_watches(self, partial: bytes = b"") -> None:
        """Break every open watch, after sending a piece of a line."""
        for watch in list(self._watches):
            watch.queue.put_nowait(partial)
            watch.queue.put_nowait(None)

    def end_watches(self, error: dict[str, Any]) -> None:
        """Send an ERROR event on every open watch."""
        for watch in self._watches:
            watch.queue.put_nowait(_line("ERROR", error))

    def bookmark(self) -> None:
        """Tell every open watch the present version."""
        mark = {"kind": "Bookmark", "metadata": {"resourceVersion": str(self.version)}}
        for watch in self._watches:
            watch.queue.put_nowait(_line("BOOKMARK", mark))

    # What happens -----------------------------------------------------------------------------

    def put(
        self,
        plural: str,
        name: str,
        *,
        namespace: str = "ns",
        labels: dict[str, str] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Create or change an object behind everybody's back, as other writers do."""
        old = self.objects.get((plural, namespace, name), {"metadata": {}})
        metadata = {**old["metadata"], "name": name, "namespace": namespace}
        if labels is not None:
            metadata["labels"] = labels
        return self._store(plural, {**old, **fields, "metadata": metadata})

    def remove(self, plural: str, name: str, namespace: str = "ns") -> None:
        item = self.objects.pop((plural, namespace, name))
        self.version += 1
        item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.version)}}
        self._tell("DELETED", plural, item, None)

    def count(self, verb: str) -> int:
        return sum(request.verb == verb for request in self.requests)

    async def seen(self, verb: str, times: int = 1) -> None:
        """Wait until so many requests of `verb` have come in."""
        while self.count(verb) < times:
            self._arrived.clear()
            await self._arrived.wait()

    async def watched(self, times: int = 1) -> None:
        """Wait until so many watches are open."""
        await self.seen("watch", times)
        await self._opened.wait()

    async def unwatched(self) -> None:
        """Wait until the server has noticed that all watches were left."""
        await self._left.wait()

    # Serving ----------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.cut_watches()
        if self._runner is not None:
            await self._runner.cleanup()

    def client(self, **options: Any) -> KubeClient:
        options.setdefault("retries", FAST_RETRIES)
        authorization = options.pop("authorization", FixedHeader())
        credentials = Credentials(f"http://127.0.0.1:{self.port}", authorization)
        return KubeClient(credentials, user_agent="test", **options)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            plural, namespace, name, subresource = _address(request.path)
        except IndexError:
            plural, namespace, name, subresource = request.path, None, None, None
        verb = _verb(request, name, subresource)
        self.requests.append(
            Request(
                verb,
                request.path,
                dict(request.query),
                dict(request.headers),
                json.loads(raw) if raw else None,
                asyncio.get_running_loop().time(),
            )
        )
        self._arrived.set()
        if self._scripts[verb]:
            return await self._scripts[verb].popleft()(request)
        if verb == "watch":
            return await self._watch(request, Watch(plural, namespace, _selector(request)))
        if verb == "list":
            return self._list(request, plural, namespace)
        if verb == "create":
            return self._create(plural, namespace, self.requests[-1].body)
        return self._one(verb, plural, (namespace or "", name or ""), self.requests[-1])

    def _list(self, request: web.Request, plural: str, namespace: str | None) -> web.Response:
        chosen = [
            item
            for (kind, where, _), item in sorted(self.objects.items())
            if kind == plural and namespace in (None, where) and _matches(_selector(request), item)
        ]
        begin = int(request.query.get("continue", 0))
        size = min(int(request.query.get("limit", 0)) or 10**9, self.page_size or 10**9)
        metadata = {"resourceVersion": str(self.version)}
        if begin + size < len(chosen):
            metadata["continue"] = str(begin + size)
        return web.json_response({"metadata": metadata, "items": chosen[begin : begin + size]})

    def _create(self, plural: str, namespace: str | None, body: dict[str, Any]) -> web.Response:
        name = body["metadata"]["name"]
        if (plural, namespace or "", name) in self.objects:
            return web.json_response(status(409, "AlreadyExists", f"{name} exists"), status=409)
        body["metadata"] |= {"namespace": namespace}
        return web.json_response(self._store(plural, body), status=201)

    def _one(
        self, verb: str, plural: str, where: tuple[str, str], request: Request
    ) -> web.Response:
        item = self.objects.get((plural, *where))
        if item is None:
            return web.json_response(status(404, "NotFound", f"{where[1]} not found"), status=404)
        if verb == "get":
            return web.json_response(item)
        body = request.body or {}
        wanted = body.get("preconditions") or body.get("metadata") or {}
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) not in (None, item["metadata"][key]):
                return web.json_response(status(409, "Conflict", f"{key} differs"), status=409)
        if verb == "delete":
            self.remove(plural, where[1], where[0])
            return web.json_response({"kind": "Status", "status": "Success"})
        return web.json_response(self._store(plural, _merge(item, body)))

    async def _watch(self, request: web.Request, watch: Watch) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        if since < self.compacted:
            await response.write(_line("ERROR", status(410, "Expired", "too old")))
            return response
        for change in self._history:
            if change.version > since:
                watch.tell(change)
        self._watches.append(watch)
        self._opened.set()
        self._left.clear()
        try:
            while (line := await watch.queue.get()) is not None:
                await response.write(line)
            await asyncio.sleep(0.005)
            assert request.transport is not None
            request.transport.abort()
        finally:
            self._watches.remove(watch)
            if not self._watches:
                self._opened.clear()
                self._left.set()
        return response

    def _store(self, plural: str, item: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = dict(item["metadata"])
        key = (plural, metadata.get("namespace") or "", metadata["name"])
        known = self.objects.get(key)
        metadata["uid"] = known["metadata"]["uid"] if known else f"uid-{self.version}"
        metadata["resourceVersion"] = str(self.version)
        item = {**item, "metadata": metadata}
        self.objects[key] = item
        self._tell("MODIFIED" if known else "ADDED", plural, item, known)
        return item

    def _tell(
        self, kind: str, plural: str, item: dict[str, Any], before: dict[str, Any] | None
    ) -> None:
        change = Change(self.version, kind, plural, item, before)
        self._history.append(change)
        for watch in self._watches:
            watch.tell(change)


@asynccontextmanager
async def faulty_api() -> Any:
    api = FaultyApi()
    await api.start()
    try:
        yield api
    finally:
        await api.stop()


def quick(*, silence: float = 30.0, total: float = 5.0) -> Timeouts:
    return Timeouts(connect=2.0, total=total, silence=silence)


def _line(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _address(path: str) -> tuple[str, str | None, str | None, str | None]:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    return parts[0], namespace, *(*parts[1:], None, None)[:2]


def _verb(request: web.Request, name: str | None, subresource: str | None) -> str:
    if request.method == "GET":
        if subresource == "log":
            return "logs"
        if request.query.get("watch"):
            return "watch"
        return "get" if name or not request.path.startswith("/api") else "list"
    return {"POST": "create", "PATCH": "patch", "DELETE": "delete"}[request.method]


def _selector(request: web.Request) -> str | None:
    return request.query.get("labelSelector")


def _matches(selector: str | None, item: dict[str, Any]) -> bool:
    if not selector:
        return True
    key, _, value = selector.partition("=")
    return (item["metadata"].get("labels") or {}).get(key) == value


def _merge(item: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result
