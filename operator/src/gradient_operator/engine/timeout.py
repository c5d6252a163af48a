"""How long an attempt may run: `timeout-minutes`, counted from the start of its container.

Queueing, pulling the image, fetching inputs and uploading outputs do not count. The times are the
Pod's own, so that a restart of the operator changes nothing.
"""

from typing import Final

from gradient_operator.engine.model import Failure, FailureClass, PodRecord
from gradient_operator.engine.starting import Limit

REASON: Final = "TimedOut"


def limit(
    pod: PodRecord, *, seconds: float | None, source: str = "timeout-minutes", told: bool = False
) -> Limit | None:
    """When an attempt has run too long, if it is limited and its main runs, or was stopped so.

    A main that ended late by itself before anybody stopped it has ended as it says. `told` is
    whether the record says that it was stopped for this: a node's clock may be behind. `source` is
    what sets the limit, for people.
    """
    main = pod.main
    if seconds is None or main is None or main.started_at is None:
        return None
    at = main.started_at + seconds
    if main.terminated:
        if not pod.deleting or not (told or (main.finished_at or 0) >= at):
            return None
        at = min(at, main.finished_at or at)
    text = f"it ran longer than its {source}: {seconds / 60:g}"
    return Limit(at, Failure(FailureClass.TIMEOUT, REASON, text))
