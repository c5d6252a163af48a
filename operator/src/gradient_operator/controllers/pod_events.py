"""Asks why a Pod's containers do not start: of mounts the kubelet speaks in Events alone."""

from typing import Final

from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import CORE_EVENTS

PATIENCE: Final = 3.0
"""Seconds after which a scheduled Pod should have a container that is at least waiting."""
PAUSE: Final = 10.0
"""Seconds between two rounds of questions about the Pods of one run."""
AT_ONCE: Final = 3
"""Pods that one round asks about, those that have waited longest first."""


async def latest_warning(client: KubeClient, pod: PodRecord) -> str:
    """The newest warning about a Pod; empty when there is none.

    Raises:
        KubeError: the API server does not answer.
    """
    listed = await client.list_all(
        CORE_EVENTS,
        namespace=pod.namespace,
        field_selector=f"involvedObject.uid={pod.uid},type=Warning",
    )
    ordered = sorted(
        listed.items,
        key=lambda event: str(
            event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"].get("creationTimestamp", "")
        ),
    )
    return str(ordered[-1].get("message", "")) if ordered else ""
