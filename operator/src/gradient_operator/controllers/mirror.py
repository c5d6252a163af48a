"""Mirrors what the cluster knows of datasets and versions into the default provider's bucket.

What they are called, for recovery, and how they were made: the statements of
`datasets/provenance.py`, signed if there is a key. Beside the way of every run: a bucket that does
not answer is tried again later, and nothing waits for it. Datasets of a namespace's own provider
are mirrored by their collector: the operator has no keys for them.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.controllers.dataset_records import DatasetView
from gradient_operator.dataset_versions import dataset_record, version_makings, version_record
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.datasets.layout import MIRROR, PROVENANCE
from gradient_operator.datasets.mirror import DatasetRecord, Record, VersionRecord, encode
from gradient_operator.datasets.statements import read_signer, write_statement
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
        self,
        client: KubeClient,
        open_store: Callable[[], BlobStore],
        metrics: Metrics,
        *,
        signing_key: Path | None = None,
    ) -> None:
        """`signing_key` is the file of a mounted Secret, which need not be there."""
        self._client = client
        self._open_store = open_store
        self._metrics = metrics
        self._signing_key = signing_key
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
                told = await self._told(*key)
                if told is not None:
                    await asyncio.to_thread(self._write, *told)
            except BaseException:
                self._pending[key] = None
                raise

    async def _told(
        self, namespace: str, name: str
    ) -> tuple[DatasetRecord, list[dict[str, Any]]] | None:
        """A dataset and its versions; None when it is gone: its records go with a collection."""
        try:
            dataset = await self._client.get(DATASETS, name=name, namespace=namespace)
        except NotFound:
            return None
        listed = await self._client.list_all(
            DATASET_VERSIONS,
            namespace=namespace,
            label_selector=f"{names.LABEL_DATASET}={label_value(name)}",
        )
        versions = [item for item in listed.items if item["spec"]["dataset"] == name]
        return dataset_record(dataset), versions

    def _write(self, dataset: DatasetRecord, versions: list[dict[str, Any]]) -> None:
        store = self._open_store()
        if self._written is None:
            listed = chain(store.list(MIRROR), store.list(PROVENANCE))
            self._written = dict.fromkeys(info.key for info in listed)
        self._write_record(store, dataset)
        for item in versions:
            self._write_record(store, version_record(item))
        # Names first: a key that cannot be read must not cost the recovery.
        signer = read_signer(self._signing_key)
        for item in versions:
            for making in version_makings(item):
                key = write_statement(store, making, signer, present=self._written)
                self._written.setdefault(key, None)

    def _write_record(self, store: BlobStore, record: Record) -> None:
        written = self._written if self._written is not None else {}
        # A version never changes: that its record is there is enough.
        if isinstance(record, VersionRecord) and record.key in written:
            return
        body = encode(record)
        if written.get(record.key) != body:
            store.put(record.key, body)
            written[record.key] = None if isinstance(record, VersionRecord) else body
