"""Mirrors what datasets and versions are called into the default provider's bucket, for recovery.

Beside the way of every run: a bucket that does not answer is tried again later, and nothing waits
for it. Datasets of a namespace's own provider are mirrored by their collector: the operator has no
keys for them.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gradient_operator.api import names
from gradient_operator.controllers.dataset_records import DatasetView
from gradient_operator.dataset_versions import dataset_record, version_record
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.datasets.layout import MIRROR
from gradient_operator.datasets.mirror import Record, VersionRecord, encode
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.pods.names import label_value

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 2.0


class DatasetMirror:
    """Writes records of datasets that were noted, one after the other, in a task of its own."""

    def __init__(
        self, client: KubeClient, open_store: Callable[[], BlobStore], metrics: Metrics
    ) -> None:
        self._client = client
        self._open_store = open_store
        self._metrics = metrics
        self._pending: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()
        self._written: dict[str, bytes | None] | None = None
        """Keys in the bucket; those of datasets with what this process wrote last."""

    def note(self, view: DatasetView) -> None:
        """Something about this dataset may have changed."""
        if view.spec.get("provider") is None:
            self._pending[view.namespace, view.name] = None
            self._wake.set()

    async def run(self) -> None:
        """Mirror for ever; ends only by cancellation."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self._wake.clear()
            try:
                await self.flush()
            except (DatasetError, OSError, KubeError) as error:
                self._metrics.mirror_failures_total.inc()
                logger.warning("cannot mirror datasets into the bucket: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def flush(self) -> None:
        """Write what is pending; what fails stays pending.

        Raises:
            DatasetError: the storage does not take it.
            KubeError: the API server does not answer.
        """
        while self._pending:
            key = next(iter(self._pending))
            del self._pending[key]
            try:
                records = await self._records(*key)
                await asyncio.to_thread(self._write, records)
            except BaseException:
                self._pending[key] = None
                raise

    async def _records(self, namespace: str, name: str) -> list[Record]:
        try:
            dataset = await self._client.get(DATASETS, name=name, namespace=namespace)
        except NotFound:
            return []  # its records go with the next collection
        listed = await self._client.list_all(
            DATASET_VERSIONS,
            namespace=namespace,
            label_selector=f"{names.LABEL_DATASET}={label_value(name)}",
        )
        versions = [item for item in listed.items if item["spec"]["dataset"] == name]
        return [dataset_record(dataset), *map(version_record, versions)]

    def _write(self, records: list[Record]) -> None:
        store = self._open_store()
        if self._written is None:
            self._written = dict.fromkeys(info.key for info in store.list(MIRROR))
        for record in records:
            # A version never changes: that its record is there is enough.
            if isinstance(record, VersionRecord) and record.key in self._written:
                continue
            body = encode(record)
            if self._written.get(record.key) != body:
                store.put(record.key, body)
                self._written[record.key] = None if isinstance(record, VersionRecord) else body
