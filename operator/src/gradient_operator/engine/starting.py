"""How long a Pod may take to start before its attempt is given up.

Waiting for room on the nodes is no fault and has no limit. What only a person can mend (an image
that cannot be pulled, a missing Secret) is shown at once and given up after a while, so that a
blocked job does not hold a GPU for ever. A Pod held to a node that cannot take it is given up too.
"""

from dataclasses import dataclass
from typing import Final

from gradient_operator.engine.model import Failure, FailureClass, PodRecord
from gradient_operator.engine.waiting import Waiting

BLOCKED_SECONDS: Final = 900.0
PINNED_SECONDS: Final = 300.0
PINNED_BUT_FULL_SECONDS: Final = 3_600.0
"""The node is full for now: other jobs may end and make room."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When to give up, and the failure that it then is."""

    at: float
    failure: Failure


def limit(pod: PodRecord, waiting: Waiting) -> Limit | None:
    """The limit that applies to a waiting Pod, if any."""
    if waiting.pinned:
        room = "Insufficient" in pod.unschedulable
        seconds = PINNED_BUT_FULL_SECONDS if room else PINNED_SECONDS
        failure = Failure(FailureClass.DATA, waiting.reason, waiting.message)
        return Limit((pod.created_at or 0) + seconds, failure)
    if waiting.blocked:
        pull = waiting.reason == "ImagePullFailed"
        kind = FailureClass.IMAGE_PULL if pull else FailureClass.NOT_STARTED
        if pull and waiting.final:
            kind = FailureClass.IMAGE
        since = pod.scheduled_at or pod.created_at or 0
        return Limit(since + BLOCKED_SECONDS, Failure(kind, waiting.reason, waiting.message))
    return None
