"""How soon a change of a Pod is to be looked at: what decides something at once, the rest together.

That a Pod got its node, that its containers start, that they run: nothing is done because of it, it
is only shown. The end of a Pod often comes soon after, and one look sees it all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gradient_operator.engine.model import PodRecord

PAUSE: Final = 0.3
"""Seconds that news waits which is only shown; a status waits longer than that (`run_writer`)."""
RATE: Final = 20.0
"""Runs that are looked at in a second for such news: in a crowd it waits longer."""
LONGEST: Final = 60.0
"""Seconds that it waits at most."""


@dataclass(slots=True)
class PodNews:
    """The pace of all runs together; `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    _last: float = float("-inf")
    """When the look for the news before is due."""

    def pause(self, old: PodRecord | None, new: PodRecord | None, *, due: bool) -> float | None:
        """In how many seconds to look at the Pod's run; None: this is no reason to.

        `due` says that it will be looked at for earlier news, and will see this, too.
        """
        if old is None or new is None or old.uid != new.uid or _decisive(old) != _decisive(new):
            return 0.0
        if due or replace(new, resource_version=old.resource_version, held=old.held) == old:
            return None  # our finalizer came off, or what we do not read has changed
        now = self.clock()
        self._last = min(max(now + PAUSE, self._last + 1 / RATE), now + LONGEST)
        return self._last - now


def _decisive(pod: PodRecord) -> tuple[object, ...]:
    """What plans decide by."""
    containers = (pod.main, pod.fetch, pod.uploader)
    return (
        pod.phase if pod.terminal else "",
        tuple(item is not None and item.terminated for item in containers),
        pod.deletion_at,
        pod.deletion_grace,
        pod.disruption,
        pod.unheard,
        bool(pod.unschedulable),
        pod.other_finalizers,
    )
