"""How long an attempt may run: `timeout-minutes`, counted from the start of its container.

Queueing, pulling the image, fetching inputs and uploading outputs do not count. The times are the
Pod's own, so that a restart of the operator changes nothing.
"""

from gradient_operator.engine.model import Failure, FailureClass, PodRecord
from gradient_operator.engine.starting import Limit


def limit(pod: PodRecord, *, seconds: float | None) -> Limit | None:
    """When an attempt has run too long, if it is limited and its main runs, or was stopped so.

    A main that ended late by itself before anybody stopped it has ended as it says.
    """
    main = pod.main
    if seconds is None or main is None or main.started_at is None:
        return None
    at = main.started_at + seconds
    if main.terminated and not (pod.deleting and (main.finished_at or 0) >= at):
        return None
    text = f"it ran longer than its timeout-minutes: {seconds / 60:g}"
    return Limit(at, Failure(FailureClass.TIMEOUT, "TimedOut", text))
