"""How soon a run may be looked at again: planning a wide run must not take all the time there is.

A plan sees every job of its run, so that a thousand jobs that end one after another would be
planned a thousand times. A look that was expensive is followed by a rest in proportion; the events
of that time are answered by one look. Nothing is waited for after a look that was cheap.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

REST: Final = 9.0
"""Seconds of rest for each second of planning: a run gets a tenth of the time at most."""
CHEAP: Final = 0.002
"""Seconds of planning in one look that need no rest."""
NARROW: Final = 20
"""Jobs up to which a plan is cheap for certain: it is not even measured."""
LONGEST: Final = 0.25
"""Seconds that a rest takes at most."""


@dataclass(slots=True)
class Pace:
    """The pace of one run."""

    clock: Callable[[], float] = time.monotonic
    spent: Callable[[], float] = time.thread_time
    """Processor time: a plan that another program interrupted was not expensive."""
    _spent: float = 0.0
    _rest_until: float = float("-inf")
    _version: str = ""

    def wait(self, version: str) -> float:
        """Seconds until a look is due; none if a person, or we, changed the run's object since."""
        return 0.0 if version != self._version else self._rest_until - self.clock()

    def planning(self, jobs: int) -> AbstractContextManager[None]:
        """Count the time of planning so many jobs inside, which must not wait for anything."""
        return nullcontext() if jobs <= NARROW else self._measured()

    @contextmanager
    def _measured(self) -> Iterator[None]:
        began = self.spent()
        try:
            yield
        finally:
            self._spent += self.spent() - began

    def looked(self, version: str) -> None:
        """A look has ended that saw this version of the run."""
        rest = min(self._spent * REST, LONGEST) if self._spent > CHEAP else 0.0
        self._rest_until, self._spent, self._version = self.clock() + rest, 0.0, version
