"""How fast this program may write to the API server, and how it slows down when told to.

A token bucket whose rate shrinks by half on every 429 and grows back by a constant step per
success (additive increase, multiplicative decrease), as TCP shares a line.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gradient_operator.kube.errors import TooManyRequests

_FLOOR: Final = 0.02
"""The rate never shrinks below this share of the configured one: it must find its way back."""
_GROWTH: Final = 0.005
"""Share of the configured rate that each success gives back: 200 successes undo everything."""


class TokenBucket:
    """Lets `rate` requests per second pass, and `burst` at once after a quiet time."""

    def __init__(
        self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"rate {rate} must be above 0 and burst {burst} at least 1")
        self.rate = rate
        self._full_rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._clock = clock
        self._filled_at = clock()
        self._turn = asyncio.Lock()
        self._closed_until = 0.0

    def try_take(self) -> bool:
        """Take a token if one is there; never waits."""
        now = self._fill()
        if self._tokens < 1 or now < self._closed_until:
            return False
        self._tokens -= 1
        return True

    def charge(self, tokens: float) -> None:
        """Take more for what turned out to be dear; time has to make up for it first."""
        self._fill()
        self._tokens -= max(0.0, tokens)

    async def take(self) -> None:
        """Wait for a token; callers are served in the order in which they came."""
        async with self._turn:
            while not self.try_take():  # noqa: ASYNC110 - time alone makes tokens
                await asyncio.sleep(self._wait())

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Take a token for the request in the body and learn from how it ends."""
        await self.take()
        try:
            yield
        except TooManyRequests as error:
            self.throttled(error.retry_after)
            raise
        else:
            self.succeeded()

    def throttled(self, retry_after: float | None = None) -> None:
        """The server answered 429: halve the rate and let nothing pass for `retry_after` s."""
        self._fill()
        self.rate = max(self.rate / 2, self._full_rate * _FLOOR)
        self._tokens = min(self._tokens, 1.0)
        if retry_after:
            self._closed_until = max(self._closed_until, self._clock() + retry_after)

    def succeeded(self) -> None:
        """The server took a request: grow back towards the configured rate."""
        if self.rate < self._full_rate:
            self._fill()
            self.rate = min(self.rate + self._full_rate * _GROWTH, self._full_rate)

    def _fill(self) -> float:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return now

    def _wait(self) -> float:
        closed = self._closed_until - self._clock()
        return max((1 - self._tokens) / self.rate, closed, 0.001)
