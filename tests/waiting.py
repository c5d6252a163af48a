"""Waiting for what must come true, with the last reason why it was not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
PAUSE = 0.05


async def eventually(
    ask: Callable[[], Awaitable[T]],
    *,
    seconds: float = PATIENCE,
    pause: float = PAUSE,
    not_yet: type[Exception] = AssertionError,
) -> T:
    """Ask until it does not say `not_yet`; the last time it did is what is reported."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except not_yet:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(pause)
