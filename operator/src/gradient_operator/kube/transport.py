"""Requests to the API server: timeouts, retries, errors, and the counting of it.

Speaks bytes. What a path, a verb or a body means is the client's business. Where the kubeconfig
names a proxy everything goes over aiohttp, else over `connections.py`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from gradient_operator.kube.backoff import Backoff
from gradient_operator.kube.connections import (
    Answer,
    Chunks,
    Connection,
    ConnectionPool,
    NotConnected,
    keep_alive,
)
from gradient_operator.kube.errors import KubeError, Unreachable, error_of_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    from gradient_operator.kube.credentials import Credentials

IN_FLIGHT: Final = 72
"""Requests at once: 64 writes of the operator and room for its reads; more only adds latency."""
METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)
"""What to accept where the object's metadata is all that matters."""
_UNAUTHORIZED: Final = 401
_SUCCESS: Final = range(200, 300)
_IN_PATHS: Final = "/:@!$&'()*+,;=~"
"""What stands in a path as it is, besides letters, digits and `-._` (RFC 3986, 3.3)."""


class RequestObserver(Protocol):
    """Is told of every attempt: verb, plural of the resource, HTTP code (0: none), seconds."""

    def __call__(self, verb: str, resource: str, code: int, seconds: float, /) -> None:
        """Note one attempt; must not block."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request is tried; times in seconds.

    A `Retry-After` above `longest_wait` ends the trying: the caller knows better what to do
    meanwhile.
    """

    attempts: int = 5
    first_wait: float = 0.2
    longest_wait: float = 10.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for a whole request, and how long a watch may be silent.

    The server sends a bookmark every 60 s, so a watch that is silent for 75 s is dead.
    """

    connect: float = 5.0
    total: float = 15.0
    silence: float = 75.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `replay` says whether sending it twice is the same as sending it once.

    `fence` is asked each time before it is sent, and raises if it must not be sent any more.
    """

    verb: str
    method: str
    path: str
    resource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    brief: bool = False
    """Whether metadata is all that the answer shall hold."""
    replay: bool = True
    fence: Callable[[], None] | None = None


class Transport:
    """Sends calls with the credentials of one server; belongs to one event loop."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str,
        observer: RequestObserver | None = None,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._credentials = credentials
        self._observer = observer
        self._retries = retries or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        # The limit is ours, not the pool's: waiting for a turn must not eat a request's timeout,
        # and a watch must not take a place for ever.
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=30, socket_factory=_socket_with_keepalive
            )
        )
        self._pool = ConnectionPool(
            credentials.server,
            tls=credentials.tls,
            tls_name=credentials.tls_name,
            seconds=self._timeouts.connect,
        )
        self._headers = {"User-Agent": user_agent, "Host": urlsplit(credentials.server).netloc}

    async def close(self) -> None:
        """Close all connections; streams that are open end with an error."""
        await self._pool.close()
        await self._session.close()

    async def request(self, call: Call) -> bytes:
        """Send `call`, again where that is safe, and return the answer's body.

        Raises:
            KubeError: the last attempt's error.
        """
        backoff = Backoff(self._retries.first_wait, self._retries.longest_wait)
        attempt = 0
        renewed = False
        while True:
            attempt += 1
            try:
                return await self._once(call)
            except KubeError as error:
                if error.status == _UNAUTHORIZED and not renewed:
                    renewed = True  # nothing was done yet, so any request may be sent again
                    self._credentials.authorization.expire()
                    continue
                if attempt >= self._retries.attempts or not _may_repeat(call, error):
                    raise
                wait = max(backoff.next(), error.retry_after or 0.0)
                if wait > self._retries.longest_wait:
                    raise
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(
        self, call: Call, *, patient: bool = False
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """Open `call` once and give its body in chunks as they come.

        A `patient` stream may be silent for ever: TCP's keep-alive notices a dead peer.

        Raises:
            KubeError: the server refused, or (from the chunks) the connection broke.
        """
        silence = None if patient else self._timeouts.silence
        opened = self._stream_over_aiohttp if self._credentials.proxy else self._stream
        async with opened(call, silence) as chunks:
            yield chunks

    @asynccontextmanager
    async def _stream(
        self, call: Call, silence: float | None
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        message = _message(call, self._credentials.server, await self._headers_of(call))
        connection = await self._take(call)
        try:
            asked = connection.stream(message, seconds=silence, silence=silence)
            answer = await self._answered(call, asked)
            assert answer.chunks is not None  # noqa: S101 - it is a success
            yield _chunks(answer.chunks, call)
        finally:
            self._pool.give_back(connection)

    @asynccontextmanager
    async def _stream_over_aiohttp(
        self, call: Call, silence: float | None
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        timeout = aiohttp.ClientTimeout(sock_connect=self._timeouts.connect, sock_read=silence)
        response = await self._open(call, timeout)
        try:
            yield _chunks_of_aiohttp(response, call)
        finally:
            response.close()

    async def _once(self, call: Call) -> bytes:
        async with self._turns:
            if self._credentials.proxy is None:
                return await self._exchange(call)
            return await self._over_aiohttp(call)

    async def _exchange(self, call: Call) -> bytes:
        message = _message(call, self._credentials.server, await self._headers_of(call))
        connection = await self._take(call)
        try:
            if call.fence is not None:
                call.fence()  # not before: it may have taken seconds to connect
            asked = connection.exchange(message, seconds=self._timeouts.total)
            return (await self._answered(call, asked)).body
        finally:
            self._pool.give_back(connection)

    async def _take(self, call: Call) -> Connection:
        started = time.perf_counter()
        try:
            return await self._pool.take()
        except NotConnected as error:
            self._observed(call, 0, started)
            raise _unreachable(call, error) from error

    async def _answered(self, call: Call, asked: Awaitable[Answer]) -> Answer:
        """Wait for an answer; anything but success is raised."""
        started = time.perf_counter()
        code = 0
        try:
            answer = await asked
            code = answer.status
        except (TimeoutError, OSError) as error:
            raise _unreachable(call, error) from error
        finally:
            self._observed(call, code, started)
        if code in _SUCCESS:
            return answer
        raise error_of_answer(code, answer.body, retry_after=_patience(answer))

    def _observed(self, call: Call, code: int, started: float) -> None:
        if self._observer is not None:
            self._observer(call.verb, call.resource, code, time.perf_counter() - started)

    async def _over_aiohttp(self, call: Call) -> bytes:
        timeout = aiohttp.ClientTimeout(
            sock_connect=self._timeouts.connect, total=self._timeouts.total
        )
        response = await self._open(call, timeout)
        async with response:
            try:
                return await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _unreachable(call, error) from error

    async def _headers_of(self, call: Call) -> dict[str, str]:
        headers = {**self._headers, "Accept": METADATA_ONLY if call.brief else "application/json"}
        if authorization := await self._credentials.authorization.header():
            headers["Authorization"] = authorization
        if call.body is not None:
            headers["Content-Type"] = call.content_type
            headers["Content-Length"] = str(len(call.body))
        if call.verb == "list":
            headers["Accept-Encoding"] = "gzip"
        return headers

    async def _open(self, call: Call, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Send and wait for the headers; anything but success is raised."""
        credentials = self._credentials
        headers = await self._headers_of(call)
        if call.fence is not None:
            call.fence()
        started = time.perf_counter()
        code = 0
        try:
            response = await self._session.request(
                call.method,
                credentials.server + call.path,
                params=call.query,
                data=call.body,
                headers=headers,
                timeout=timeout,
                ssl=credentials.tls or True,
                server_hostname=credentials.tls_name,
                proxy=credentials.proxy,
                allow_redirects=False,
            )
            code = response.status
            if code in _SUCCESS:
                return response
            async with response:
                answer = Answer(
                    code,
                    {
                        name.lower().encode(): value.encode()
                        for name, value in response.headers.items()
                    },
                    await response.read(),
                )
            raise error_of_answer(code, answer.body, retry_after=_patience(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(call, error) from error
        finally:
            self._observed(call, code, started)


def _message(call: Call, server: str, headers: Mapping[str, str]) -> bytes:
    """Return a request as HTTP/1.1 has it (RFC 9112)."""
    target = quote(urlsplit(server).path + call.path, safe=_IN_PATHS)
    if call.query:
        target = f"{target}?{urlencode(call.query)}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{call.method} {target} HTTP/1.1\r\n{lines}\r\n"
    return head.encode("latin-1") + (call.body or b"")


async def _chunks(chunks: Chunks, call: Call) -> AsyncGenerator[bytes]:
    try:
        while chunk := await chunks.next():
            yield chunk
    except (TimeoutError, OSError) as error:
        raise _unreachable(call, error) from error


async def _chunks_of_aiohttp(response: aiohttp.ClientResponse, call: Call) -> AsyncGenerator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unreachable(call, error) from error


def _may_repeat(call: Call, error: KubeError) -> bool:
    if isinstance(error, Unreachable) and not error.sent:
        return error.retryable
    return call.replay and error.retryable


def _patience(answer: Answer) -> float | None:
    """Return `Retry-After` in seconds; the API server never sends the header's date form."""
    value = answer.headers.get(b"retry-after", b"")
    return float(value) if value.isdigit() else None


def _unreachable(call: Call, error: Exception) -> Unreachable:
    what = str(error) or "no answer in time"
    unsent = isinstance(
        error, NotConnected | aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    )
    result = Unreachable(f"{call.method} {call.path}: {what}", sent=not unsent)
    # A certificate that is refused now will be refused in a second, too.
    result.retryable = not (
        isinstance(error, aiohttp.ClientSSLError | aiohttp.InvalidURL)
        or (isinstance(error, NotConnected) and error.permanent)
    )
    return result


def _socket_with_keepalive(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    keep_alive(made)
    return made
