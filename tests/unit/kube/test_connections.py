import asyncio
import gc
import gzip
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from gradient_operator.kube import connections
from gradient_operator.kube.connections import Answer, ConnectionPool, NotConnected
from tests.unit.kube.serving import Conversation, serving, until

REQUEST = b"GET /x HTTP/1.1\r\nHost: here\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(body: bytes = b"here", *headers: bytes, code: int = 200) -> bytes:
    lines = [b"HTTP/1.1 %d Word" % code, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


class Server:
    """Says what it is told to each request, and counts the connections."""

    def __init__(self) -> None:
        self.says: list[Conversation | bytes] = []
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                told = self.says.pop(0) if self.says else answer()
                if isinstance(told, bytes):
                    writer.write(told)
                else:
                    await told(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has left
        finally:
            self.writers.discard(writer)


def pool_for(server: str, *, seconds: float = 5) -> ConnectionPool:
    tls = ssl.create_default_context() if server.startswith("https") else None
    return ConnectionPool(server, tls=tls, tls_name=None, seconds=seconds)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def pool(server: Server) -> AsyncIterator[ConnectionPool]:
    async with serving(server.talk) as place:
        made = pool_for(f"http://{place}")
        yield made
        await made.close()


async def ask(pool: ConnectionPool, *, seconds: float = 60) -> Answer:
    connection = await pool.take()
    try:
        return await connection.exchange(REQUEST, seconds=seconds)
    finally:
        pool.give_back(connection)


async def used(pool: ConnectionPool) -> connections.Connection:
    """A connection that has had an answer and waits for the next request."""
    connection = await pool.take()
    await connection.exchange(REQUEST, seconds=60)
    pool.give_back(connection)
    assert connection.is_reusable
    return connection


async def closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def and_closes(text: bytes) -> Conversation:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        writer.close()

    return talk


async def test_requests_one_after_the_other_share_a_connection(pool, server):
    for _ in range(3):
        assert (await ask(pool)).body == b"here"
    assert server.connections == 1


async def test_requests_at_once_have_each_their_own(pool, server):
    answers = await asyncio.gather(*(ask(pool) for _ in range(5)))
    assert [each.body for each in answers] == [b"here"] * 5
    assert server.connections == 5


async def test_status_and_headers_are_told(pool, server):
    server.says = [answer(b"slowly", b"Retry-After: 3", code=429)]
    told = await ask(pool)
    assert (told.status, told.body, told.headers[b"retry-after"]) == (429, b"slowly", b"3")


@pytest.mark.parametrize(
    "text",
    [
        answer(b"all of it"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"all of it"),
        CHUNKED + b"4\r\nall \r\n5\r\nof it\r\n0\r\n\r\n",
        answer(gzip.compress(b"all of it", mtime=0), b"Content-Encoding: gzip"),
    ],
)
async def test_an_answer_is_whole_however_it_comes(pool, server, text):
    async def bit_by_bit(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(text), 7):
            writer.write(text[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)

    server.says = [text, bit_by_bit]
    assert [(await ask(pool)).body for _ in range(2)] == [b"all of it"] * 2
    assert server.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection(pool, server):
    server.says = [and_closes(b"HTTP/1.1 502 Bad\r\n\r\n<html>no gateway</html>")]
    told = await ask(pool)
    assert (told.status, told.body) == (502, b"<html>no gateway</html>")
    assert (await ask(pool)).status == 200
    assert server.connections == 2


async def test_an_answer_without_a_body_leaves_the_connection_open(pool, server):
    server.says = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    assert [(await ask(pool)).status for _ in range(2)] == [204, 200]
    assert server.connections == 1


async def test_a_connection_that_the_server_wants_closed_is_not_used_again(pool, server):
    server.says = [answer(b"bye", b"Connection: close")]
    assert [(await ask(pool)).body for _ in range(2)] == [b"bye", b"here"]
    assert server.connections == 2


async def test_a_connection_that_the_server_has_closed_is_not_used_again(pool, server):
    connection = await used(pool)
    (writer,) = server.writers
    writer.close()
    await until(lambda: not connection.is_reusable)
    assert (await ask(pool)).body == b"here"
    assert server.connections == 2


@pytest.mark.parametrize(
    "says",
    [
        closes,
        and_closes(b"HTTP/1.1 200 OK\r\nContent-Le"),
        and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        and_closes(CHUNKED + b"4\r\nhalf\r\n"),
        b"SSH-2.0-Something\r\n\r\n",
        answer(b"no gzip", b"Content-Encoding: gzip"),
    ],
)
async def test_half_an_answer_or_none_is_an_error_and_ends_the_connection(pool, server, says):
    server.says = [says]
    with pytest.raises(OSError, match=r"."):
        await ask(pool)
    assert (await ask(pool)).body == b"here"


async def test_an_answer_that_comes_too_late_is_nobody_elses(pool, server):
    late = asyncio.Event()

    async def waits(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await late.wait()
        writer.write(answer(b"of the first"))

    server.says = [waits, waits]
    with pytest.raises(TimeoutError):
        await ask(pool, seconds=0.01)
    cancelled = asyncio.ensure_future(ask(pool))
    await until(lambda: not server.says)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    late.set()
    assert (await ask(pool)).body == b"here"


async def test_what_nobody_has_asked_for_ends_the_connection(pool, server):
    connection = await used(pool)
    (writer,) = server.writers
    writer.write(answer(b"listen"))
    await until(lambda: not connection.is_reusable)
    assert (await ask(pool)).body == b"here"


async def test_connections_that_nobody_uses_are_closed(pool, server, monkeypatch):
    monkeypatch.setattr(connections, "KEPT_SECONDS", 0.05)
    await asyncio.gather(*(ask(pool) for _ in range(3)))
    await until(lambda: not server.writers)


async def test_closing_ends_what_is_under_way(pool, server):
    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server.says = [never]
    asked = asyncio.ensure_future(ask(pool))
    await until(lambda: server.connections and not server.says)
    await pool.close()
    with pytest.raises(OSError, match="closed"):
        await asked


async def stream(pool: ConnectionPool, *, silence: float | None = None) -> AsyncIterator[bytes]:
    """The pieces of a stream."""
    connection = await pool.take()
    try:
        answer = await connection.stream(REQUEST, seconds=60, silence=silence)
        assert (answer.status, answer.body) == (200, b"")
        while piece := await answer.chunks.next():
            yield piece
    finally:
        pool.give_back(connection)


class Told:
    """Says the next word of a stream when a test tells it to."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[bytes] = asyncio.Queue()

    def say(self, word: bytes) -> None:
        self.words.put_nowait(b"%x\r\n%s\r\n" % (len(word), word))

    async def talk(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while word := await self.words.get():
            writer.write(word)
            await writer.drain()


async def test_a_stream_gives_what_has_come_and_leaves_its_connection_to_the_next(pool, server):
    told = Told()
    server.says = [told.talk]
    pieces = stream(pool)
    for word in (b"one", b"two"):
        told.say(word)
        assert await anext(pieces) == word
    told.say(b"")
    told.words.put_nowait(b"")
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    assert (await ask(pool)).body == b"here"
    assert server.connections == 1


async def test_a_stream_that_is_left_early_is_closed(pool, server):
    told = Told()
    server.says = [told.talk]
    pieces = stream(pool)
    told.say(b"one")
    await anext(pieces)
    await pieces.aclose()
    told.say(b"of the first")
    told.words.put_nowait(b"")
    assert (await ask(pool)).body == b"here"


async def test_a_refusal_of_a_stream_is_told_whole(pool, server):
    server.says = [answer(b"too old", code=410)]
    connection = await pool.take()
    refused = await connection.stream(REQUEST, seconds=60, silence=None)
    assert (refused.status, refused.body, refused.chunks) == (410, b"too old", None)
    pool.give_back(connection)
    assert (await ask(pool)).body == b"here"
    assert server.connections == 1


async def test_a_stream_that_is_cut_gives_what_came_before(pool, server):
    server.says = [and_closes(CHUNKED + b"4\r\nhalf\r\n")]
    pieces = stream(pool)
    assert await anext(pieces) == b"half"
    with pytest.raises(ConnectionResetError):
        await anext(pieces)


async def test_a_stream_may_be_silent_between_words_but_not_for_ever(pool, server):
    told = Told()
    server.says = [told.talk]
    pieces = stream(pool, silence=0.4)
    for _ in range(3):
        asyncio.get_running_loop().call_later(0.2, told.say, b"word")
        assert await anext(pieces) == b"word"
    with pytest.raises(TimeoutError, match=r"nothing came for 0\.4 s"):
        await anext(pieces)
    told.words.put_nowait(b"")


async def test_who_is_slow_to_take_holds_the_server_up_and_is_not_cut(pool, server):
    size, sent = 1 << 16, 0

    async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        while sent < 1 << 28:
            writer.write(b"%x\r\n%s\r\n" % (size, bytes(size)))
            await writer.drain()
            sent += size

    server.says = [floods]
    pieces = stream(pool, silence=0.2)
    await anext(pieces)
    before = -1
    while before != sent:  # until the server has to wait
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 1 << 27
    while before < 1 << 26:
        before += len(await anext(pieces))
    await pieces.aclose()


async def test_a_server_that_is_not_there_was_sent_nothing(unused_tcp_port):
    pool = pool_for(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(NotConnected) as caught:
        await pool.take()
    assert not caught.value.permanent


async def test_a_server_that_shakes_no_hands_is_given_up():
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as place:
        with pytest.raises(NotConnected, match=r"after 0\.1 s"):
            await pool_for(f"https://{place}", seconds=0.1).take()


async def test_a_server_that_speaks_no_tls_will_not_learn_it():
    async with serving(and_closes(answer(code=400))) as place:
        with pytest.raises(NotConnected) as caught:
            await pool_for(f"https://{place}").take()
    assert caught.value.permanent


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_giving_up_while_a_connection_is_made_leaves_no_socket_open(server, scheme):
    """At each step of the event loop; the server shakes no hands."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        async with serving(server.talk) as place:
            for steps in range(40):
                pool = pool_for(f"{scheme}://{place}")
                taking = asyncio.create_task(pool.take())
                for _ in range(steps):
                    await asyncio.sleep(0)
                taking.cancel()
                with suppress(asyncio.CancelledError):
                    pool.give_back(await taking)
                await pool.close()
        gc.collect()
    assert [str(warning.message) for warning in told] == []
