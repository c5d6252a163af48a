"""How long to wait before trying again: exponential, jittered, capped.

Jitter keeps a fleet of clients that lost the same server from coming back in the same instant.
"""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Seconds to wait: `first`, doubled per call of `next` up to `most`, each less up to a half."""

    first: float = 0.25
    most: float = 30.0
    _failures: int = 0

    def next(self) -> float:
        """Return the next delay in seconds, between half and all of the exponential one."""
        delay = min(self.first * 2.0**self._failures, self.most)
        self._failures = min(self._failures + 1, 32)  # 2 to the 32nd is beyond any cap
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Forget the failures: the next delay is the first again."""
        self._failures = 0
