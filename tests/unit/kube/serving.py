"""A server that says what a test tells it to, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.waiting import eventually

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Conversation) -> AsyncIterator[str]:
    """Where the server is; at the end its connections have come to theirs."""
    under_way: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(writer)
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            under_way.remove(writer)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    await until(lambda: not under_way)


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that needs no asking."""

    async def ask() -> None:
        assert holds()

    await eventually(ask)
