"""Asks why a Pod's containers do not start: of mounts the kubelet speaks in Events alone."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Services
from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError
from gradient_operator.kube.resources import CORE_EVENTS

logger = logging.getLogger(__name__)

PATIENCE: Final = 3.0
"""Seconds after which a scheduled Pod should have a container that is at least waiting."""
PAUSE: Final = 10.0
"""Seconds between two rounds of questions about the Pods of one run."""
CROWDED: Final = 60.0
"""Seconds until a run asks again for which there was no time among many: each try is a look."""
AT_ONCE: Final = 3
"""Pods that one round asks about, those that have waited longest first."""
ANSWER: Final = 2.0
"""Seconds that one answer may take: the rest of the look waits for it."""
EACH: Final = 0.05
"""Seconds of answering that one question of `Services.questions` stands for; a longer answer counts
as many. So a busy API server is asked seldom, and spends little of its time on it: where 5,000 Pods
start, each question makes it read 5,000 Events."""


async def ask(
    services: Services, state: RunState, pods: Iterable[PodRecord], *, now: float
) -> float | None:
    """Read the Events of Pods that were scheduled a while ago and still have no container.

    Few of them at a time: where a thousand are slow to start, of one run or of many, they have one
    reason, and the API server reads all Events of a namespace to answer one question. What is
    found goes into the state; answers in how many seconds to ask again, if at all. A server that
    has no time for the question gets it in the next round: the run itself goes on.
    """
    silent = [pod for pod in pods if pod.silent and pod.scheduled_at is not None]
    if not silent:
        return None
    due = max(min(pod.scheduled_at or now for pod in silent) + PATIENCE, state.ask_again_at)
    if due <= now:
        due = now + PAUSE
        oldest = sorted(silent, key=lambda pod: pod.scheduled_at or now)
        for asked, pod in enumerate(oldest[:AT_ONCE]):
            if not services.questions.try_take():
                if not asked:
                    due = now + CROWDED
                break
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER):
                    state.mount_problems[pod.uid] = await latest_warning(services.client, pod)
            except (KubeError, TimeoutError) as error:
                logger.info("not told why a Pod does not start", extra={"error": repr(error)})
                break
            finally:
                services.questions.charge((time.monotonic() - began) / EACH - 1)
        state.ask_again_at = due
    return due - now


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
