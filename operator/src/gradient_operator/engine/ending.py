"""How long a Pod that should end may take, before its attempt is given up.

The kubelet ends a Pod in time by itself. These limits are for when it cannot: its node is cut off,
or it lost track. An attempt that was given up and ends well after all does no harm: what it uploads
is never committed.
"""

from typing import Final

from gradient_operator.engine.model import Failure, FailureClass, PodRecord
from gradient_operator.engine.starting import Limit

MARGIN_SECONDS: Final = 120.0
"""What the kubelet gets beyond each deadline: for its own work, and for clocks that differ."""


def limit(pod: PodRecord, *, upload_seconds: int, silent: bool = False) -> Limit | None:
    """The limit that applies to a Pod under way, if any; `upload_seconds` is its grace period.

    `silent` is whether its node has stopped reporting. If its Pod is to go as well, the cluster has
    given it up: there is nothing to wait for.
    """
    told = pod.told_to_stop_at
    if told is not None and (silent or pod.unheard):
        text = f"node {pod.node} was lost: it does not answer, and its Pods were given up"
        return Limit(told, Failure(FailureClass.NODE_LOST, "NodeLost", text))
    if pod.main is not None and pod.main.finished_at is not None:
        # A deletion does not shorten an upload that has begun.
        text = f"the upload has not ended {upload_seconds} s after the job did"
        return Limit(
            pod.main.finished_at + upload_seconds + MARGIN_SECONDS,
            Failure(FailureClass.UPLOAD, "UploadTimeout", text),
        )
    if pod.deletion_at is not None:
        text = (
            f"Pod {pod.name} was deleted, and node {pod.node} does not say that it has stopped. "
            f"Look at the node: kubectl describe node {pod.node}"
        )
        return Limit(
            pod.deletion_at + MARGIN_SECONDS,
            Failure(FailureClass.NODE_LOST, "NodeUnreachable", text),
        )
    return None
