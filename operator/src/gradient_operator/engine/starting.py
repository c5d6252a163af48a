"""How long a Pod may take to start before its attempt is given up.

Waiting for room on the nodes is no fault and has no limit here, unlike in `clocks`. What only a
person can mend (an image that cannot be pulled, a missing Secret) is shown at once and given up
after a while, so that a blocked job does not hold a GPU for ever. A Pod held to a node that cannot
take it is given up too, but not while another user of its claim works there: that one's end may be
what it waits for.
"""

from dataclasses import dataclass
from typing import Final

from gradient_operator.engine.holding import Hold
from gradient_operator.engine.model import Failure, FailureClass, PodRecord
from gradient_operator.engine.waiting import Waiting

BLOCKED_SECONDS: Final = 900.0
PINNED_SECONDS: Final = 300.0
PINNED_FOR_NOW_SECONDS: Final = 3_600.0
"""The node is full, cordoned or away for now: it may make room, or come back."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When to give up, and the failure that it then is."""

    at: float
    failure: Failure


def limit(pod: PodRecord, waiting: Waiting, hold: Hold) -> Limit | None:
    """The limit that applies to a waiting Pod, if any."""
    if waiting.pinned:
        if hold.busy:
            return None
        passing = waiting.reason == "NodeUnavailable" or "Insufficient" in pod.unschedulable
        seconds = PINNED_FOR_NOW_SECONDS if passing else PINNED_SECONDS
        failure = Failure(FailureClass.DATA, waiting.reason, waiting.message)
        return Limit(max(pod.created_at or 0, hold.free_since) + seconds, failure)
    if waiting.blocked:
        pull = waiting.reason == "ImagePullFailed"
        kind = FailureClass.IMAGE_PULL if pull else FailureClass.NOT_STARTED
        if pull and waiting.final:
            kind = FailureClass.IMAGE
        since = pod.scheduled_at or pod.created_at or 0
        return Limit(since + BLOCKED_SECONDS, Failure(kind, waiting.reason, waiting.message))
    return None
