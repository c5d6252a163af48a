"""Follows datasets, versions and the runs that read them, and says which dataset to look at."""

import asyncio
from collections.abc import Callable

from gradient_operator.controllers.dataset import SETTLE_SECONDS, DatasetController
from gradient_operator.controllers.dataset_records import (
    DatasetView,
    VersionIndex,
    VersionView,
    project_dataset,
    project_version,
)
from gradient_operator.controllers.dataset_uses import Uses
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.services import Key, Services
from gradient_operator.kube.reflector import Reflector
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS


class DatasetWatch:
    """The caches of datasets, and the controller that is fed by them."""

    def __init__(
        self,
        services: Services,
        *,
        namespace: str | None,
        changed: Callable[[DatasetView], None] | None = None,
    ) -> None:
        self._services = services
        self._uses = Uses()
        self.index = VersionIndex()
        self.datasets: Reflector[DatasetView] = Reflector(
            services.client,
            DATASETS,
            namespace=namespace,
            project=project_dataset,
            on_change=self._dataset_changed,
            metrics=services.metrics,
        )
        self.versions: Reflector[VersionView] = Reflector(
            services.client,
            DATASET_VERSIONS,
            namespace=namespace,
            project=project_version,
            on_change=self._version_changed,
            metrics=services.metrics,
        )
        self.controller = DatasetController(
            services,
            datasets=self.datasets.items,
            versions=self.index,
            uses=self._uses,
            changed=changed or (lambda _: None),
        )

    def start(self, group: asyncio.TaskGroup) -> None:
        """Follow both kinds, for ever."""
        group.create_task(self.datasets.run(), name="datasets")
        group.create_task(self.versions.run(), name="dataset versions")

    async def synced(self) -> None:
        """Wait until both caches are complete: what is missing then does not exist."""
        await self.datasets.synced.wait()
        await self.versions.synced.wait()

    def run_changed(self, old: RunView | None, new: RunView | None) -> None:
        """Take over what a run reads."""
        for namespace, dataset in self._uses.note(new, gone=old):
            self._look_at(namespace, dataset)

    def _dataset_changed(self, old: DatasetView | None, new: DatasetView | None) -> None:
        view = new or old
        if view is not None:
            self._look_at(view.namespace, view.name)

    def _version_changed(self, old: VersionView | None, new: VersionView | None) -> None:
        self._look_at(*self.index.update(old, new))

    def _look_at(self, namespace: str, dataset: str) -> None:
        self._services.queue.add_after(Key("dataset", namespace, dataset), SETTLE_SECONDS)
