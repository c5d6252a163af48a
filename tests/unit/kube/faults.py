"""Answers that an API server should not give, but does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, reason: str = "", message: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message or reason,
        "details": details,
    }


def fails(code: int, reason: str = "", *, headers: dict[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(status(code, reason), status=code, headers=headers)

    return answer


def says(body: str, *, code: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=code)

    return answer


async def resets(request: web.Request) -> web.StreamResponse:
    """Break the connection after the request was read, without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hangs(request: web.Request) -> web.StreamResponse:
    """Never answer; ends when the client gives up."""
    await asyncio.sleep(3_600)
    return web.Response()


def streams(*chunks: bytes, end: str = "end") -> Answer:
    """Send the chunks one by one, then `end`, `cut` the connection, or be `silent`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.005)  # separate segments, so that the client sees them so
        if end == "silent":
            await asyncio.sleep(3_600)
        if end == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer
