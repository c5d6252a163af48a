"""Metrics of the transfers that go on now, out of the logs of the helpers that do them.

Beside the way of runs. A transfer that two looks have not seen costs nothing; of those that last
the logs are read through the API server, of a few Pods at a time. What a helper has finished is
counted from its report instead (`transitions`).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_UPLOADER
from gradient_operator.controllers.services import PodIndex
from gradient_operator.datasets.progress_log import LINES, Transfer, read_line
from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError
from gradient_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 15.0
AT_ONCE: Final = 20
"""Pods whose logs a look reads, the oldest first; all are counted."""
_CONTAINERS: Final = {"fetch": CONTAINER_FETCH, "upload": CONTAINER_UPLOADER}


@dataclass(slots=True)
class _Sum:
    """The transfers of one direction."""

    pods: int = 0
    bytes: int = 0
    expected: int = 0


class TransferWatch:
    """Looks at the Pods that are cached anyway; `run()` is a task."""

    def __init__(self, client: KubeClient, pods: PodIndex, metrics: Metrics) -> None:
        self._client = client
        self._pods = pods
        self._metrics = metrics
        self._seen: set[tuple[str, str]] = set()
        """Transfers that the look before saw, by UID of the Pod and direction."""

    async def run(self) -> None:
        """Look for ever; ends only by cancellation."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD_SECONDS)

    async def look(self) -> None:
        """Count the transfers under way, and say how far those are that last."""
        found = self._under_way()
        lasting = [pod for pod in found if pod in self._seen]
        self._seen = set(found)
        asked = sorted(lasting, key=lambda key: found[key].created_at or 0)[:AT_ONCE]
        said = await asyncio.gather(*(self._ask(found[key], key[1]) for key in asked))
        sums = {direction: _Sum() for direction in _CONTAINERS}
        for _, direction in found:
            sums[direction].pods += 1
        for (_, direction), transfer in zip(asked, said, strict=True):
            if transfer is not None:
                sums[direction].bytes += transfer.bytes
                sums[direction].expected += transfer.total or 0
        self._tell(sums)

    def _under_way(self) -> dict[tuple[str, str], PodRecord]:
        found = {}
        for pods in self._pods.by_run.values():
            for pod in pods.values():
                direction = None if pod.terminal else _direction(pod)
                if direction is not None:
                    found[pod.uid, direction] = pod
        return found

    async def _ask(self, pod: PodRecord, direction: str) -> Transfer | None:
        last = None
        try:
            async for line in self._client.pod_logs(
                pod.name,
                namespace=pod.namespace,
                container=_CONTAINERS[direction],
                tail_lines=LINES,
            ):
                last = read_line(line, last)
        except KubeError as error:  # it has ended meanwhile, or its node is away
            logger.debug("no word from the transfer of Pod %s: %s", pod.name, error)
        return last

    def _tell(self, sums: Mapping[str, _Sum]) -> None:
        metrics = self._metrics
        for direction, each in sums.items():
            metrics.transfers_under_way.labels(direction).set(each.pods)
            metrics.transfer_under_way_bytes.labels(direction).set(each.bytes)
            metrics.transfer_under_way_expected_bytes.labels(direction).set(each.expected)


def _direction(pod: PodRecord) -> str | None:
    """What its helpers do now, by what the kubelet says of them; None: nothing."""
    if pod.fetch is not None and pod.fetch.running:
        return "fetch"
    ended = pod.main is not None and pod.main.terminated
    return "upload" if ended and pod.uploader is not None and pod.uploader.running else None
