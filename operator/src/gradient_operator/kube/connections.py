"""Keep-alive connections to one server: answers at once, and streams as they come.

The operator sends three requests for each Pod and hears of it five times; a general client spends
half as much again on each (docs/decisions/0019). Knows HTTP/1.1 and TLS; what a path, a verb or a
status means is not known here, nor when to try again.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpResponseParser  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_SECONDS: Final = 30.0
"""A connection that nobody has used for so long is closed: servers do it after 60 s and more."""
_SECOND_ADDRESS_SECONDS: Final = 0.25
"""RFC 8305: when to try a host's next address beside the first."""
_PORTS: Final = {"http": 80, "https": 443}
_INFORMATIONAL: Final = range(100, 200)
_SUCCESS: Final = range(200, 300)
_MOST_WAITING: Final = 1 << 20
"""Bytes of a stream that nobody has taken yet, after which the server has to wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; names of headers are in lower case, the body is unpacked."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    chunks: Chunks | None = None
    """The body of a success that was asked for as a stream."""


class NotConnected(OSError):
    """There is no connection, so that nothing was sent; a `permanent` reason will not pass."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Chunks:
    """The body of an answer as it comes; after `silence` seconds without any it is cut."""

    def __init__(self, transport: asyncio.Transport, *, silence: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._silence = silence
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._listen()

    async def next(self) -> bytes:
        """Return all that has come since, or wait for more; empty at the end.

        Raises:
            OSError: the connection broke, or was silent for too long (TimeoutError).
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = self._loop.create_future()
            await self._waiter
        taken, self._pieces = b"".join(self._pieces), []
        if self._size > _MOST_WAITING:
            self._transport.resume_reading()
        self._size = 0
        return taken

    def add(self, piece: bytes) -> None:
        """A piece has come."""
        self._heard_at = self._loop.time()
        self._pieces.append(piece)
        before, self._size = self._size, self._size + len(piece)
        if before <= _MOST_WAITING < self._size:
            self._transport.pause_reading()
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; with an error, more should have come."""
        if self._ended:
            return
        self._ended, self._error = True, error
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _listen(self) -> None:
        """Ask again when the silence may have been too long: a timer for each piece would cost."""
        if self._silence is None or self._ended:
            return
        now = self._loop.time()
        since = now if self._pieces else self._heard_at
        if now - since >= self._silence:
            self.end(TimeoutError(f"nothing came for {self._silence:g} s"))
            return
        self._timer = self._loop.call_at(since + self._silence, self._listen)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One connection; answers one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._streams = False
        self._silence: float | None = None
        self._chunks: Chunks | None = None
        self._ends_with_connection = False
        self._lost = asyncio.Event()
        self.is_reusable = False
        """Whether it is open, and nothing of an answer is still to come."""

    async def exchange(self, request: bytes, *, seconds: float) -> Answer:
        """Send the bytes of a request and return the answer to it.

        Raises:
            OSError: the connection broke, or what came is no HTTP; the request may have arrived.
            TimeoutError: the answer was not there after so many seconds.
        """
        return await self._send(request, seconds=seconds)

    async def stream(
        self, request: bytes, *, seconds: float | None, silence: float | None
    ) -> Answer:
        """Send a request, and let the body of a success come bit by bit; errors as above.

        After `silence` seconds without a bit the stream ends with an error.
        """
        self._streams, self._silence = True, silence
        return await self._send(request, seconds=seconds)

    async def _send(self, request: bytes, *, seconds: float | None) -> Answer:
        if self._transport is None or not self.is_reusable:
            raise ConnectionResetError("the connection was closed")
        self.is_reusable = False  # until all of the answer is here
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(seconds):
            return await self._waiter

    def close(self) -> None:
        """Close it, and drop what may still come."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until its socket is closed, after `close`."""
        if self._transport is not None:
            await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way is open."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_reusable = True
        keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody has asked for ends the connection."""
        if self._waiter is None and self._chunks is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(OSError(f"the answer is no HTTP: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection is the end of an answer without a length; else it is cut."""
        self.is_reusable = False
        self._lost.set()
        if self._ends_with_connection and exc is None:
            self._complete()
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def on_message_begin(self) -> None:
        """Parser: another answer begins."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: one header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Parser: now comes the body."""
        self._ends_with_connection = not (
            b"content-length" in self._headers or b"transfer-encoding" in self._headers
        )
        if self._streams and self._parser.get_status_code() in _SUCCESS and self._transport:
            self._chunks = Chunks(self._transport, silence=self._silence)
            self._answer(b"", self._chunks)

    def on_body(self, body: bytes) -> None:
        """Parser: a part of the body."""
        if self._chunks is None:
            self._body.append(body)
        else:
            self._chunks.add(body)

    def on_message_complete(self) -> None:
        """Parser: the answer is complete; what only informs is not the answer."""
        if self._parser.get_status_code() not in _INFORMATIONAL:
            self.is_reusable = self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        self._ends_with_connection = False
        chunks, self._chunks, self._streams = self._chunks, None, False
        if chunks is not None:
            chunks.end()
            return
        body = b"".join(self._body)
        if self._headers.get(b"content-encoding") == b"gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error) as error:
                self._fail(OSError(f"the answer cannot be unpacked: {error}"))
                return
        self._answer(body)

    def _answer(self, body: bytes, chunks: Chunks | None = None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            status = self._parser.get_status_code()
            waiter.set_result(Answer(status, self._headers, body, chunks))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            chunks.end(error)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


class ConnectionPool:
    """Open connections to one server; belongs to one event loop.

    `server` has scheme, host and port; `tls_name` is the name that its certificate must have, if
    not the host's. How many are in use at once is the caller's business.
    """

    def __init__(
        self, server: str, *, tls: ssl.SSLContext | None, tls_name: str | None, seconds: float
    ) -> None:
        parts = urlsplit(server)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS.get(parts.scheme, 0)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._tls_name = tls_name
        self._seconds = seconds
        self._idle: deque[tuple[Connection, float]] = deque()
        self._busy: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self) -> Connection:
        """Return an open connection, the one that was used last if there is one.

        Raises:
            NotConnected: the server cannot be reached, or is not the one that it should be.
        """
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_reusable:
                self._busy.add(connection)
                return connection
        connection = await self._connect()
        if self._closed:
            connection.close()
            await connection.closed()
            raise NotConnected("the client was closed")
        self._busy.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if its answer is not complete."""
        self._busy.discard(connection)
        if self._closed or not connection.is_reusable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if self._sweep is None:
            self._sweep = loop.call_later(KEPT_SECONDS, self._close_the_old)

    async def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        connections = [*self._busy, *(connection for connection, _ in self._idle)]
        self._idle.clear()
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.closed()
        await asyncio.sleep(0)  # for those that were closed just before

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                # asyncio's own way loses the socket of a task that is cancelled just then.
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                made = await start_connection(found, happy_eyeballs_delay=_SECOND_ADDRESS_SECONDS)
                _, connection = await loop.create_connection(
                    Connection,
                    sock=made,
                    ssl=self._tls,
                    server_hostname=(self._tls_name or self._host) if self._tls else None,
                )
        except TimeoutError as error:
            raise NotConnected(f"no connection after {self._seconds:g} s") from error
        except ssl.SSLError as error:
            # A certificate that is refused now will be refused in a second, too.
            raise NotConnected(f"no connection: {error}", permanent=True) from error
        except OSError as error:
            raise NotConnected(f"no connection: {error}") from error
        return connection

    def _close_the_old(self) -> None:
        """The oldest are at the left: those that were used last are used again."""
        loop = asyncio.get_running_loop()
        self._sweep = None
        while self._idle and (
            not self._idle[0][0].is_reusable or self._idle[0][1] <= loop.time() - KEPT_SECONDS
        ):
            self._idle.popleft()[0].close()
        if self._idle:
            self._sweep = loop.call_at(self._idle[0][1] + KEPT_SECONDS, self._close_the_old)


def keep_alive(made: socket.socket) -> None:
    """Let a socket notice a vanished peer in about a minute, also when it only listens."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
