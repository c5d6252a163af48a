"""Keeps finished runs and the logs of their jobs in the default provider's bucket.

Beside the way of runs, as the mirror of datasets is: soon after a run has ended, while its Pods are
there, and at the latest before it is deleted. Runs of a namespace's own provider are not archived:
the operator has no keys for it, and what one tenant's jobs print does not belong into another's
bucket.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from gradient_operator.api.names import CONTAINER_MAIN
from gradient_operator.config import HistorySettings
from gradient_operator.controllers.conditions import with_archived
from gradient_operator.controllers.records import RunView, keeps_data_elsewhere
from gradient_operator.controllers.services import PodIndex
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.datasets.run_archive import (
    Archived,
    Log,
    folder,
    log_key,
    record_key,
    write_log,
    write_record,
)
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Invalid, KubeError, NotFound
from gradient_operator.kube.resources import RUNS
from gradient_operator.observability.metrics import Metrics

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 30.0
"""Seconds after the storage has not answered."""
AGAIN_SECONDS: Final = 2.0
"""Seconds after the API server has not."""
LEFT_OVER_SECONDS: Final = 3_600.0
LEFT_OVER_MOST: Final = 500
LEFT_OVER_PAUSE: Final = 0.2
"""Runs that an earlier process left are taken up if they ended so many seconds ago at the most, the
newest so many, with a pause before each: a start is no burst of requests."""
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
        *,
        pods: PodIndex,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._pods = pods
        self._clock = clock
        self._open_store = open_store
        self._settings = settings
        self._metrics = metrics
        self._pending: dict[str, RunView] = {}
        self._left_over: dict[str, RunView] = {}
        """Those that ended before this process led."""
        self._written: set[str] = set()
        self._silent: set[str] = set()
        """Pods whose node did not give their log once: it may be gone for good."""
        self._told: set[str] = set()
        """Runs whose status says that they could not be archived."""
        self._wake = asyncio.Event()

    def changed(self, old: RunView | None, new: RunView | None) -> None:
        """Take a change over: a run that has just ended is archived soon; one that goes is not."""
        if new is None:
            if old is not None:
                self._written.discard(old.uid)
                self._told.discard(old.uid)
                self._left_over.pop(old.uid, None)
        elif new.final and old is not None and old.uid == new.uid and not old.final:
            self._pending[new.uid] = new
            self._wake.set()

    def take_up(self, runs: Iterable[RunView]) -> None:
        """Begin to lead: what ended of late, and does not say that it is archived, is still to be.

        Older ones are archived when they are about to go. What ended while another process led
        was that one's to archive, and is no matter of ours unless it is left over.
        """
        since = self._clock() - LEFT_OVER_SECONDS
        late = [view for view in runs if view.unarchived and not view.deleting]
        late = [view for view in late if (view.finished_at or 0.0) >= since]
        late.sort(key=lambda view: view.finished_at or 0.0, reverse=True)
        self._left_over = {view.uid: view for view in late[:LEFT_OVER_MOST]}
        self._pending.clear()
        self._wake.set()

    async def _next(self) -> RunView | None:
        """What is to be archived next; runs that have just ended come first."""
        if not self._pending and self._left_over:
            await asyncio.sleep(LEFT_OVER_PAUSE)
        for waiting in (self._pending, self._left_over):
            if waiting:
                return waiting.pop(next(iter(waiting)))
        return None

    async def run(self) -> None:
        """Archive what has ended, for ever; what fails is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (view := await self._next()) is not None:
                try:
                    await self.keep(view, tell=True)
                except (DatasetError, KubeError, OSError) as error:
                    self._metrics.archive_failures_total.inc()
                    logger.warning("cannot archive run %s: %s", view.name, error)
                    self._pending[view.uid] = view
                    await self.failed(view, error)
                    again = isinstance(error, KubeError)
                    await asyncio.sleep(AGAIN_SECONDS if again else RETRY_SECONDS)

    async def failed(self, view: RunView, error: Exception) -> None:
        """Say in a run's status, once, why it is not archived yet."""
        if view.uid in self._told or isinstance(error, KubeError):
            return
        self._told.add(view.uid)
        try:
            run = await self._client.get(RUNS, name=view.name, namespace=view.namespace)
        except KubeError:
            return
        if run["metadata"]["uid"] == view.uid:
            await self._tell(run, "False", f"it is tried again: {error}")

    async def keep(self, view: RunView, *, tell: bool = False) -> None:
        """See to it that a run is archived; with `tell` its status says so then.

        Raises:
            DatasetError: the storage does not take it.
            KubeError: the API server does not answer.
        """
        if view.uid in self._written:
            return
        store = await asyncio.to_thread(self._open_store)
        key = record_key(view.namespace, view.name, view.uid)
        if await asyncio.to_thread(store.size, key) is None:
            run = await self._write(store, view)
        else:  # by a process that ended before it could tell
            run = await self._get(view) if tell else None
        self._written.add(view.uid)
        if tell and run is not None:
            place = folder(view.namespace, view.name, view.uid)
            await self._tell(run, "True", f"kept as {place} in the default provider's bucket")

    async def _tell(
        self, run: Mapping[str, Any], status: Literal["True", "False"], message: str
    ) -> None:
        """Write the condition; that it fails changes nothing of what is archived."""
        metadata, before = run["metadata"], run.get("status") or {}
        found = with_archived(
            before.get("conditions") or (),
            status=status,
            message=message,
            generation=metadata.get("generation", 0),
            now=self._clock(),
        )
        # Onto exactly this version: somebody else's conditions are in the list, too.
        version = {"resourceVersion": metadata["resourceVersion"]}
        try:
            await self._client.merge_patch(
                RUNS,
                {"metadata": version, "status": {"conditions": found}},
                name=metadata["name"],
                namespace=metadata["namespace"],
                subresource="status",
                brief=True,
            )
        except KubeError as error:
            logger.info("run %s does not say that it is archived: %s", metadata["name"], error)

    async def _write(self, store: BlobStore, view: RunView) -> dict[str, Any] | None:
        """Write logs and record; answers with the run, or None if it is not to be archived."""
        run = await self._get(view)
        if run is None:
            return None
        logs = await self._logs(store, view) if self._settings.archive == "logs" else ()
        run["metadata"].pop("managedFields", None)
        await asyncio.to_thread(write_record, store, Archived(run, logs))
        self._metrics.archived_runs_total.inc()
        return run

    async def _get(self, view: RunView) -> dict[str, Any] | None:
        """The run, or None if it is not to be archived."""
        try:
            run = await self._client.get(RUNS, name=view.name, namespace=view.namespace)
        except NotFound:
            return None
        same = run["metadata"]["uid"] == view.uid
        return run if same and not keeps_data_elsewhere(run["spec"]) else None

    async def _logs(self, store: BlobStore, view: RunView) -> tuple[Log, ...]:
        pods = [
            pod
            for pod in self._pods.of(view.namespace, view.name).values()
            if pod.run_uid == view.uid
        ]
        found = []
        for number, pod in enumerate(sorted(pods, key=lambda pod: (pod.job, pod.attempt))):
            text, truncated = await self._log(pod.name, view.namespace)
            if text is None:
                continue
            key = log_key(view.namespace, view.name, view.uid, number)
            await asyncio.to_thread(write_log, store, key, text)
            found.append(Log(pod.job, pod.attempt, key, truncated))
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
