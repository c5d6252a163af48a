"""What garbage collections say: their Pods' termination messages become metrics and status.

The operator starts no collection and deletes nothing in a bucket: CronJobs do, with keys of their
own. It only reads the Pods that they leave.
"""

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from pydantic import ValidationError

from gradient_operator.api import names
from gradient_operator.api.datasets import Collection
from gradient_operator.controllers.services import Services
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.reflector import WATCH_TIME
from gradient_operator.kube.resources import PODS, STORAGE_PROVIDERS

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 15.0
"""Seconds after the API server has not answered, or has broken the watch."""
DEFAULT: Final = "default"
_STATES: Final = ("reachable", "young", "marked", "deleted")


class CollectionReports:
    """Looks at collectors' Pods when one of them has ended; waiting for that costs no calls."""

    def __init__(self, services: Services, *, namespace: str | None) -> None:
        self._services = services
        self._namespace = namespace
        self._taken: dict[tuple[str, str], str] = {}
        """UID of the Pod whose report was taken last, by namespace and provider."""

    async def run(self) -> None:
        """Look for ever; ends only by cancellation."""
        while True:
            try:
                await self._until_ended(await self.look())
            except KubeError as error:
                logger.warning("cannot look for collections: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _until_ended(self, version: str) -> None:
        """Return when a collector's Pod has ended after `version`, or the watch has."""
        began = asyncio.get_running_loop().time()
        events = self._services.client.watch(
            PODS,
            namespace=self._namespace,
            label_selector=names.LABEL_COLLECTOR,
            resource_version=version,
            timeout_seconds=random.uniform(*WATCH_TIME),  # noqa: S311 - spreads load
        )
        async with aclosing(events):
            async for event in events:
                changed = event["type"] in ("ADDED", "MODIFIED")
                if changed and self._is_news(event["object"]):
                    return
        if asyncio.get_running_loop().time() - began < AGAIN_SECONDS:
            await asyncio.sleep(AGAIN_SECONDS)

    def _is_news(self, pod: Mapping[str, Any]) -> bool:
        return _terminated(pod) is not None and pod["metadata"]["uid"] not in self._taken.values()

    async def look(self) -> str:
        """Take over what the newest ended Pod of each collector says; answers with their version.

        Raises:
            KubeError: the API server does not answer.
        """
        listed = await self._services.client.list_all(
            PODS, namespace=self._namespace, label_selector=names.LABEL_COLLECTOR
        )
        newest: dict[tuple[str, str], tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {}
        for pod in listed.items:
            ended = _terminated(pod)
            if ended is None:
                continue
            metadata = pod["metadata"]
            key = (metadata["namespace"], metadata["labels"][names.LABEL_COLLECTOR])
            finished = str(ended.get("finishedAt") or "")
            if key not in newest or newest[key][0] < finished:
                newest[key] = (finished, metadata, ended)
        for key, (finished, metadata, ended) in newest.items():
            if self._taken.get(key) != metadata["uid"]:
                await self._take(*key, ended=ended, finished=finished)
                self._taken[key] = metadata["uid"]
        return listed.resource_version

    async def _take(
        self, namespace: str, provider: str, *, ended: Mapping[str, Any], finished: str
    ) -> None:
        metrics = self._services.metrics
        found = read_report(ended, finished)
        metrics.storage_collection_failed.labels(namespace, provider).set(found is None)
        if found is None:
            logger.warning(
                "a garbage collection failed",
                extra={
                    "namespace": namespace,
                    "provider": provider,
                    "said": str(ended.get("message") or "")[:500],
                },
            )
            return
        for state in _STATES:
            total = getattr(found, state)
            metrics.storage_objects.labels(namespace, provider, state).set(total.objects)
            metrics.storage_bytes.labels(namespace, provider, state).set(total.bytes)
        metrics.storage_collected_timestamp_seconds.labels(namespace, provider).set(
            self._services.clock()
        )
        if provider != DEFAULT and self._services.is_leader():
            body = {"status": {"collection": found.model_dump(by_alias=True)}}
            try:
                await self._services.client.merge_patch(
                    STORAGE_PROVIDERS,
                    body,
                    name=provider,
                    namespace=namespace,
                    subresource="status",
                )
            except NotFound:
                logger.warning("collected for a provider that does not exist: %s", provider)


def read_report(ended: Mapping[str, Any], finished: str) -> Collection | None:
    """The report in a container's termination message; None if it failed."""
    if ended.get("exitCode") != 0:
        return None
    try:
        raw = json.loads(ended.get("message") or "")
        known = {name: raw[name] for name in ("versions", *_STATES)}
        return Collection.model_validate({**known, "finishedAt": finished})
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return None


def _terminated(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        ended: Mapping[str, Any] | None = container.get("state", {}).get("terminated")
        if ended is not None:
            return ended
    return None
