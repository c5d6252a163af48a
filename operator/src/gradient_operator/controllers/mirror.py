"""Mirrors what the cluster knows of datasets and versions into the default provider's bucket.

What they are called, for recovery, and how they were made: the statements of
`datasets/provenance.py`, signed if there is a key. Beside the way of every run: a bucket that does
not answer is tried again later, and nothing waits for it. Datasets of a namespace's own provider
are mirrored by their collector: the operator has no keys for them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.controllers.dataset_records import DatasetView, VersionIndex
from gradient_operator.dataset_versions import version_makings, version_record
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.datasets.layout import MIRROR, PROVENANCE
from gradient_operator.datasets.mirror import DatasetRecord, Record, VersionRecord, encode
from gradient_operator.datasets.statements import read_signer, write_statement
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.pods.names import label_value

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 2.0
_FEW: Final = 5
"""So many versions of a dataset are read one by one; to read more, all are listed."""

_Told = tuple[str, object, bool]
"""What was told of a version: its UID, its later makings, and whether there was a key."""


class DatasetMirror:
    """Writes records of datasets that were noted, one after the other, in a task of its own."""

    def __init__(
        self,
        client: KubeClient,
        open_store: Callable[[], BlobStore],
        metrics: Metrics,
        *,
        datasets: Mapping[tuple[str, str], DatasetView],
        versions: VersionIndex,
        signing_key: Path | None = None,
    ) -> None:
        """`datasets` and `versions` are live caches, whose versions lack what is told of them.

        `signing_key` is the file of a mounted Secret, which need not be there.
        """
        self._client = client
        self._datasets = datasets
        self._versions = versions
        self._open_store = open_store
        self._metrics = metrics
        self._signing_key = signing_key
        self._pending: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()
        self._written: dict[str, bytes | None] | None = None
        """Keys in the bucket; those of datasets with what this process wrote last."""
        self._told: dict[tuple[str, str], dict[str, _Told]] = {}
        """By dataset and version, what this process need not read again."""

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
                await self._tell(key)
            except BaseException:
                self._pending[key] = None
                raise

    async def _tell(self, key: tuple[str, str]) -> None:
        view = self._datasets.get(key)
        if view is None:
            self._told.pop(key, None)  # it is gone: its records go with a collection
            return
        known, signs = self._versions.of(*key), self._signs()
        wanted = {
            name: (each.uid, each.status.get("madeAgain"), signs) for name, each in known.items()
        }
        told = self._told.get(key, {})
        new = [name for name, what in wanted.items() if told.get(name) != what]
        items = await self._read(key, [known[name].name for name in new])
        await asyncio.to_thread(self._write, _record(view), items)
        read = {item["spec"]["version"] for item in items}
        self._told[key] = {
            name: what for name, what in wanted.items() if name in read or name not in new
        }

    def _signs(self) -> bool:
        return self._signing_key is not None and self._signing_key.exists()

    async def _read(self, key: tuple[str, str], wanted: list[str]) -> list[dict[str, Any]]:
        """Versions in full, by the names of their objects; what is gone by now is left out."""
        namespace, dataset = key
        if len(wanted) > _FEW:
            listed = await self._client.list_all(
                DATASET_VERSIONS,
                namespace=namespace,
                label_selector=f"{names.LABEL_DATASET}={label_value(dataset)}",
            )
            return [item for item in listed.items if item["metadata"]["name"] in set(wanted)]
        found = []
        for name in wanted:
            with suppress(NotFound):
                found.append(
                    await self._client.get(DATASET_VERSIONS, name=name, namespace=namespace)
                )
        return found

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


def _record(view: DatasetView) -> DatasetRecord:
    latest = view.status.get("latest") or {}
    return DatasetRecord(
        namespace=view.namespace, name=view.name, spec=view.spec, latest=latest.get("digest")
    )
