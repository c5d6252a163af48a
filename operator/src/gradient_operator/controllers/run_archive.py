"""Keeps finished runs and the logs of their jobs in the default provider's bucket.

Beside the way of runs, as the mirror of datasets is: soon after a run has ended, while its Pods are
there, and at the latest before it is deleted. Runs of a namespace's own provider are not archived:
the operator has no keys for it, and what one tenant's jobs print does not belong into another's
bucket.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from gradient_operator.api.names import CONTAINER_MAIN, GROUP, LABEL_ATTEMPT, LABEL_RUN_UID
from gradient_operator.config import HistorySettings
from gradient_operator.controllers.records import RunView
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.datasets.run_archive import (
    Archived,
    Log,
    log_key,
    record_key,
    write_log,
    write_record,
)
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Invalid, KubeError, NotFound
from gradient_operator.kube.resources import PODS, RUNS
from gradient_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 30.0
"""Seconds after the storage has not answered."""
AGAIN_SECONDS: Final = 2.0
"""Seconds after the API server has not."""
_SERVER_ERROR: Final = 500
_LAST_LINES: Final = 100_000
"""Lines that are asked for; of these the last bytes stay."""


class RunArchive:
    """Writes runs one after the other; a run that is archived is not written again."""

    def __init__(
        self,
        client: KubeClient,
        open_store: Callable[[], BlobStore],
        settings: HistorySettings,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._open_store = open_store
        self._settings = settings
        self._metrics = metrics
        self._pending: dict[str, RunView] = {}
        self._written: set[str] = set()
        self._silent: set[str] = set()
        """Pods whose node did not give their log once: it may be gone for good."""
        self._wake = asyncio.Event()

    def changed(self, old: RunView | None, new: RunView | None) -> None:
        """Take a change over: a run that has just ended is archived soon; one that goes is not."""
        if new is None:
            if old is not None:
                self._written.discard(old.uid)
        elif new.final and old is not None and old.uid == new.uid and not old.final:
            self._pending[new.uid] = new
            self._wake.set()

    async def run(self) -> None:
        """Archive what has ended, for ever; what fails is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                view = self._pending.pop(next(iter(self._pending)))
                try:
                    await self.keep(view)
                except (DatasetError, KubeError, OSError) as error:
                    self._metrics.archive_failures_total.inc()
                    logger.warning("cannot archive run %s: %s", view.name, error)
                    self._pending[view.uid] = view
                    again = isinstance(error, KubeError)
                    await asyncio.sleep(AGAIN_SECONDS if again else RETRY_SECONDS)

    async def keep(self, view: RunView) -> None:
        """See to it that a run is archived.

        Raises:
            DatasetError: the storage does not take it.
            KubeError: the API server does not answer.
        """
        if view.uid in self._written:
            return
        store = await asyncio.to_thread(self._open_store)
        key = record_key(view.namespace, view.name, view.uid)
        if await asyncio.to_thread(store.size, key) is None:
            await self._write(store, view)
        self._written.add(view.uid)

    async def _write(self, store: BlobStore, view: RunView) -> None:
        try:
            run = await self._client.get(RUNS, name=view.name, namespace=view.namespace)
        except NotFound:
            return
        if run["metadata"]["uid"] != view.uid or _is_elsewhere(run):
            return
        logs = await self._logs(store, view) if self._settings.archive == "logs" else ()
        run["metadata"].pop("managedFields", None)
        await asyncio.to_thread(write_record, store, Archived(run, logs))
        self._metrics.archived_runs_total.inc()

    async def _logs(self, store: BlobStore, view: RunView) -> tuple[Log, ...]:
        listed = await self._client.list_all(
            PODS, namespace=view.namespace, label_selector=f"{LABEL_RUN_UID}={view.uid}"
        )
        found = []
        for number, pod in enumerate(listed.items):
            metadata = pod["metadata"]
            text, truncated = await self._log(metadata["name"], view.namespace)
            if text is None:
                continue
            key = log_key(view.namespace, view.name, view.uid, number)
            await asyncio.to_thread(write_log, store, key, text)
            attempt = metadata["labels"].get(LABEL_ATTEMPT, "0")
            job = metadata["annotations"].get(f"{GROUP}/job", "")
            found.append(Log(job, int(attempt) if attempt.isdecimal() else 0, key, truncated))
        return tuple(found)

    async def _log(self, pod: str, namespace: str) -> tuple[bytes | None, bool]:
        """The last bytes of a log, and whether there were more; None: it has none."""
        limit = self._settings.log_mebibytes * 1024 * 1024
        lines: deque[bytes] = deque()
        size, truncated = 0, False
        try:
            async for line in self._client.pod_logs(
                pod, namespace=namespace, container=CONTAINER_MAIN, tail_lines=_LAST_LINES
            ):
                lines.append(line)
                size += len(line) + 1
                while size > limit:
                    size -= len(lines.popleft()) + 1
                    truncated = True
        except (Invalid, NotFound):
            return None, False
        except KubeError as error:
            if error.status < _SERVER_ERROR or pod not in self._silent:
                self._silent.add(pod)
                raise
            self._silent.discard(pod)
            return None, False
        return b"".join(line + b"\n" for line in lines), truncated or len(lines) >= _LAST_LINES


def _is_elsewhere(run: Mapping[str, Any]) -> bool:
    """Whether a run keeps its data at a provider of its namespace."""
    policy = run["spec"].get("policy") or {}
    return bool((policy.get("datasets") or {}).get("provider"))
