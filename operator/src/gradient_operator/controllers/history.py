"""Deletes finished runs beyond the limits, once they are archived; versions and models stay.

It looks at the runs that are cached anyway, so that a look costs no request.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_archive import RunArchive
from gradient_operator.controllers.services import NotLeading, Services
from gradient_operator.datasets.errors import DatasetError
from gradient_operator.engine.history import Ended, Limits, expired
from gradient_operator.engine.model import RunPhase
from gradient_operator.kube.errors import Conflict, KubeError, NotFound
from gradient_operator.kube.recorder import ObjectReference
from gradient_operator.kube.resources import RUNS

logger = logging.getLogger(__name__)

_DAY: Final = 86_400.0
_AT_ONCE: Final = 500
"""Runs that one sweep deletes at the most; the next one goes on."""


class History:
    """Sweeps the runs of all namespaces in a task of its own."""

    def __init__(
        self,
        services: Services,
        *,
        runs: Mapping[tuple[str, str], RunView],
        workflows: Mapping[tuple[str, str], Mapping[str, Any]],
        archive: RunArchive | None,
    ) -> None:
        self._services = services
        self._settings = services.config.history
        self._runs = runs
        self._workflows = workflows
        self._archive = archive

    async def run(self) -> None:
        """Sweep for ever; ends only by cancellation."""
        while True:
            await asyncio.sleep(self._settings.sweep_seconds)
            await self.sweep()

    async def sweep(self) -> None:
        """Delete what is beyond the limits now; what cannot be archived or deleted stays."""
        waiting = 0
        for view in self._expired()[:_AT_ONCE]:
            if not self._services.is_leader():
                raise NotLeading
            try:
                if await self._is_kept(view):
                    await self._delete(view)
                else:
                    waiting += 1
            except KubeError as error:
                logger.warning("cannot delete run %s: %s", view.name, error)
        self._services.metrics.archive_waiting_runs.set(waiting)

    def _expired(self) -> list[RunView]:
        groups: dict[tuple[str, str], list[RunView]] = {}
        for view in self._runs.values():
            if view.final and not view.deleting:
                groups.setdefault((view.namespace, view.workflow), []).append(view)
        now = self._services.clock()
        found: list[RunView] = []
        for (namespace, workflow), views in groups.items():
            body = self._workflows.get((namespace, workflow)) if workflow else None
            if body is None and any(view.workflow_uid for view in views):
                continue  # it is not known yet; or it is gone, and its runs go with it
            last = ((body or {}).get("status") or {}).get("lastRun") or {}
            gone = expired(
                (Ended(view.name, view.phase is RunPhase.SUCCEEDED, _end(view)) for view in views),
                self._limits(body),
                now=now,
                latest=last.get("name", "") if body is not None else None,
            )
            by_name = {view.name: view for view in views}
            found += [by_name[run.name] for run in gone]
        return found

    def _limits(self, workflow: Mapping[str, Any] | None) -> Limits:
        """Those of the workflow's policy, else those of the configuration."""
        policy = ((workflow or {}).get("spec") or {}).get("policy") or {}
        own = policy.get("history") or {}
        settings = self._settings
        return Limits(
            succeeded=own.get("keepSucceeded", settings.keep_succeeded),
            failed=own.get("keepFailed", settings.keep_failed),
            seconds=own.get("keepDays", settings.keep_days) * _DAY,
            young_seconds=settings.keep_minutes * 60,
        )

    async def _is_kept(self, view: RunView) -> bool:
        """Whether a run is archived, or need not be, or has waited for it too long."""
        if self._archive is None:
            return True
        try:
            await self._archive.keep(view)
        except (DatasetError, KubeError, OSError) as error:
            self._services.metrics.archive_failures_total.inc()
            await self._archive.failed(view, error)
            patience = (self._settings.keep_days + self._settings.archive_patience_days) * _DAY
            given_up = self._services.clock() - _end(view) >= patience
            how = "is deleted without" if given_up else "stays until it is archived"
            note = f"the run {how}: {error}" if not given_up else f"the run {how} archive: {error}"
            self._tell(view, note)
            return given_up
        return True

    def _tell(self, view: RunView, note: str) -> None:
        logger.warning("run %s: %s", view.name, note)
        run = ObjectReference(names.API_VERSION, "GradientRun", view.name, view.namespace, view.uid)
        self._services.recorder.record(run, type="Warning", reason="ArchiveFailed", note=note)

    async def _delete(self, view: RunView) -> None:
        try:
            await self._services.client.delete(
                RUNS,
                name=view.name,
                namespace=view.namespace,
                uid=view.uid,
                propagation="Background",
            )
        except (NotFound, Conflict):
            return
        self._services.metrics.history_deleted_runs_total.inc()


def _end(view: RunView) -> float:
    return view.finished_at or view.created_at or 0.0
