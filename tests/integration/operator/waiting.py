"""Waiting for what must come true, with the last reason why it was not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
PAUSE = 0.05


async def eventually(
    ask: Callable[[], Awaitable[T]], *, seconds: float = PATIENCE, pause: float = PAUSE
) -> T:
    """Ask until no assertion fails; the last failure is what is reported."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except AssertionError:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(pause)
