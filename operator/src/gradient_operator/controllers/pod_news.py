"""How soon a change of a Pod is to be looked at: what decides something at once, the rest together.

That a Pod got its node, that its containers start, that they run: nothing is done because of it, it
is only shown. The end of a Pod often comes soon after, and one look sees it all.
"""

from dataclasses import replace
from typing import Final

from gradient_operator.engine.model import PodRecord

PAUSE: Final = 0.3
"""Seconds that news waits which is only shown; a status waits longer than that (`run_writer`)."""
RATE: Final = 20.0
"""Looks of all runs for such news in a second: in a crowd it waits longer."""
LONGEST: Final = 5.0
"""Seconds that it waits at most."""


def pause(old: PodRecord | None, new: PodRecord | None, *, crowd: int) -> float | None:
    """In how many seconds to look at the Pod's run; None: this is no reason to.

    `crowd` is how many runs have a status that waits to be written.
    """
    if old is None or new is None or old.uid != new.uid or _decisive(old) != _decisive(new):
        return 0.0
    if replace(new, resource_version=old.resource_version, held=old.held) == old:
        return None  # our finalizer came off, or what we do not read has changed
    return min(max(PAUSE, crowd / RATE), LONGEST)


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
