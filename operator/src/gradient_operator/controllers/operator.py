"""The whole operator, wired together: caches at once, work only while this process leads."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.config import OperatorConfig
from gradient_operator.controllers import rim, run_claims
from gradient_operator.controllers.collections import CollectionReports
from gradient_operator.controllers.dataset_records import DatasetView
from gradient_operator.controllers.dataset_watch import DatasetWatch
from gradient_operator.controllers.history import History
from gradient_operator.controllers.mirror import DatasetMirror
from gradient_operator.controllers.places import PlaceKeeper
from gradient_operator.controllers.pod_news import PodNews
from gradient_operator.controllers.records import RunView, project_pod, project_run
from gradient_operator.controllers.reuse import ResultIndex
from gradient_operator.controllers.run import RunController
from gradient_operator.controllers.run_apply import Applier
from gradient_operator.controllers.run_archive import RunArchive
from gradient_operator.controllers.run_outputs import OutputRecorder
from gradient_operator.controllers.run_places import rank_of
from gradient_operator.controllers.run_pods import PodMaker
from gradient_operator.controllers.run_release import Releaser
from gradient_operator.controllers.services import Definitions, Key, NotLeading, PodIndex, Services
from gradient_operator.controllers.storage import DefaultStore, SecretHandout, StorageProbe
from gradient_operator.controllers.transfers_under_way import TransferWatch
from gradient_operator.controllers.workflow import WorkflowController
from gradient_operator.engine.model import PodRecord, RunPhase
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.elector import ElectionTimes, LeaseElector
from gradient_operator.kube.errors import KubeError
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.queue import KeyedQueue, QueueClosed
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.kube.reflector import Reflector
from gradient_operator.kube.resources import INSTANCE_TYPES, PODS, RUNS, STORAGE_PROVIDERS
from gradient_operator.observability.health import Health
from gradient_operator.observability.metrics import Metrics
from gradient_operator.observability.runtime import LoopLag, freeze_heap
from gradient_operator.observability.server import ObservabilityServer

logger = logging.getLogger(__name__)

WRITES_PER_SECOND: Final = 400.0
WRITES_AT_ONCE: Final = 800
WRITERS: Final = 8
"""Statuses of runs that are written at once: what waits longer is written with more in it."""
QUIET_SECONDS: Final = 10.0
"""So long after its last write an operator does not count as idle yet."""


class Stopped(Exception):
    """The process was asked to end."""


class Operator:
    """One operator process: `await run()` until it is told to stop or may not lead any more."""

    def __init__(
        self,
        config: OperatorConfig,
        client: KubeClient,
        *,
        namespace: str,
        identity: str,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._client = client
        self._metrics = metrics
        self._identity = identity
        self._wrote_at = float("-inf")
        self._queue: KeyedQueue[Key] = KeyedQueue(name="reconcile", metrics=metrics)
        self._writes: KeyedQueue[Key] = KeyedQueue(name="status", metrics=metrics)
        self._elector = LeaseElector(
            client,
            namespace=namespace,
            name=config.lease.name,
            identity=identity,
            times=ElectionTimes(
                config.lease.duration, config.lease.renew_deadline, config.lease.retry_period
            ),
            metrics=metrics,
            busy=self._is_at_work,
        )
        # All but the elector write only while this process leads, repetitions included.
        client = client.fenced(self._demand_leadership)
        self._recorder = EventRecorder(
            client,
            component=f"{names.GROUP}/{names.MANAGER}",
            instance=identity,
            metrics=metrics,
        )
        self._pod_index = PodIndex()
        self._news = PodNews()
        watched = config.watch_namespace
        self._pods: Reflector[PodRecord] = Reflector(
            client,
            PODS,
            namespace=watched,
            label_selector=f"{names.LABEL_MANAGED_BY}={names.MANAGER},{names.LABEL_RUN_UID}",
            project=project_pod,
            on_change=self._pod_changed,
            metrics=metrics,
        )
        self._runs: Reflector[RunView] = Reflector(
            client,
            RUNS,
            namespace=watched,
            project=project_run,
            on_change=self._run_changed,
            metrics=metrics,
        )
        self._lag = LoopLag(metrics)
        self._definitions = Definitions()
        self._results = ResultIndex()
        self._probe = StorageProbe(self._storage_changed)
        self._rim = rim.Rim(
            self._definitions,
            enqueue=self._queue.add,
            definitions_changed=self._definitions_changed,
        )
        services = Services(
            client=client,
            config=config,
            metrics=metrics,
            recorder=self._recorder,
            queue=self._queue,
            pods=self._pod_index,
            definitions=self._definitions,
            assume_pod=self._pods.assume,
            is_leader=self._elector.is_leader,
            results=self._results,
        )
        storage = config.storage
        bucket = TokenBucket(rate=WRITES_PER_SECOND, burst=WRITES_AT_ONCE)
        handout = SecretHandout(client, storage) if storage is not None else None
        store = DefaultStore(storage) if storage is not None else None
        self._pod_maker = PodMaker(services, bucket, handout)
        applier = Applier(services, bucket, self._pod_maker, OutputRecorder(services, store))
        self._releaser = Releaser(
            self._pod_index,
            applier.release,
            is_leader=self._elector.is_leader,
            others=(self._queue, self._writes),
        )
        places = PlaceKeeper(config, lambda run: self._queue.add(Key("run", *run)))
        self._places = places if places.needed else None
        self._run_controller = RunController(
            services,
            runs=self._runs.items,
            applier=applier,
            probe=self._probe,
            writes=self._writes,
            releaser=self._releaser,
            places=self._places,
        )
        self._workflow_controller = WorkflowController(
            services, workflows=self._rim.workflows, runs=self._runs.items
        )
        self._collections = CollectionReports(services, namespace=watched)
        self._transfers = TransferWatch(client, self._pod_index, metrics)
        self._datasets = DatasetWatch(services, namespace=watched, changed=self._dataset_changed)
        self._mirror = (
            DatasetMirror(
                client,
                DefaultStore(storage).impatient,
                metrics,
                datasets=self._datasets.datasets.items,
                versions=self._datasets.index,
                signing_key=config.provenance_key,
            )
            if storage is not None
            else None
        )
        self._archive = (
            RunArchive(
                client,
                DefaultStore(storage).impatient,
                config.history,
                metrics,
                pods=self._pod_index,
            )
            if storage is not None and config.history.archive != "off"
            else None
        )
        self._history = History(
            services,
            runs=self._runs.items,
            workflows=self._rim.workflows,
            archive=self._archive,
        )
        self._count_runs()

    def _demand_leadership(self) -> None:
        """Asked before each write is sent: the process may have slept since it decided on it."""
        if not self._elector.is_leader():
            raise NotLeading
        self._wrote_at = time.monotonic()

    def _count_runs(self) -> None:
        def count(phase: str) -> Callable[[], float]:
            runs = self._runs.items
            return lambda: sum((view.phase or RunPhase.PENDING) == phase for view in runs.values())

        for phase in RunPhase:
            self._metrics.runs.labels(phase.value).set_function(count(phase.value))

    def _is_at_work(self) -> bool:
        """Whether something was written a short while ago; a look that changes nothing is none."""
        return time.monotonic() - self._wrote_at < QUIET_SECONDS

    def _pod_changed(self, old: PodRecord | None, new: PodRecord | None) -> None:
        run = self._pod_index.update(old, new)
        if self._places is not None:
            self._places.pod_changed(old, new)
        if old is None and self._pod_maker.makes(new):
            return  # the look that makes this Pod plans with it
        key = Key("run", *run)
        pause = self._news.pause(old, new, due=self._queue.is_due(key))
        if pause is not None:
            self._queue.add_after(key, pause, unless_sooner=True)

    def _run_changed(self, old: RunView | None, new: RunView | None) -> None:
        view = new or old
        if view is not None and not self._run_controller.wrote(old, new):
            leaves = new is not None and (new.cancel or new.deleting) and not new.final
            # What a person did comes before what we wrote ourselves.
            wanted = new is not None and (old is None or old.generation != new.generation or leaves)
            self._queue.add(Key("run", view.namespace, view.name), urgent=wanted, first=leaves)
        if old is not None and new is not None and new.final and not old.final:
            self._ended(new)
        for key in self._run_controller.turns.changed(old, new):
            self._queue.add(key)
        self._results.changed(old, new)
        if self._archive is not None:
            self._archive.changed(old, new)
        self._datasets.run_changed(old, new)

    def _ended(self, view: RunView) -> None:
        if view.phase is not None and self._elector.is_leader():
            self._run_controller.ended(view, view.phase)

    def _dataset_changed(self, view: DatasetView) -> None:
        if self._mirror is not None:
            self._mirror.note(view)

    def _storage_changed(self, endpoint: str) -> None:
        for key in self._run_controller.affected_by_storage(endpoint):
            self._queue.add(key)

    def _definitions_changed(self) -> None:
        for key in self._run_controller.active():
            self._queue.add(key)

    async def run(self) -> None:
        """Serve the endpoints, wait to lead, and work until the end.

        Raises:
            ExceptionGroup: a part failed, or leadership was lost: the process must end.
        """
        health = Health(
            loop_lag=self._lag.worst,
            reflectors={"pods": self._pods, "runs": self._runs},
            queues={"reconcile": self._queue, "status": self._writes},
            is_leader=self._elector.is_leader,
        )
        server = ObservabilityServer(self._metrics, health)
        port = await server.start(self._config.listen_port)
        logger.info("listening", extra={"port": port})
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lag.run(), name="loop lag")
                group.create_task(self._pods.run(), name="pods")
                group.create_task(self._runs.run(), name="runs")
                self._datasets.start(group)
                await self._elector.acquire()
                logger.info("leading")
                await self._lead(group)
        except* Stopped:
            logger.info("stopping")
        finally:
            self._queue.close()
            self._writes.close()
            await self._elector.release()
            await server.close()

    async def _lead(self, group: asyncio.TaskGroup) -> None:
        group.create_task(self._elector.hold(), name="lease")
        await self._until_answered(self._prime)
        await self._pods.synced.wait()
        await self._runs.synced.wait()
        await self._datasets.synced()
        await self._until_answered(lambda: self._run_controller.catch_up(self._runs.assume))
        if self._places is not None:
            self._places.expect(
                (run, rank_of(self._config, view))
                for run, view in self._runs.items.items()
                if not view.final
            )
        freeze_heap()
        group.create_task(self._recorder.run(), name="events")
        group.create_task(self._probe.run(), name="storage probe")
        group.create_task(self._collections.run(), name="collections")
        group.create_task(self._transfers.run(), name="transfers")
        group.create_task(self._until_answered(self._release_claims), name="claims")
        if self._mirror is not None:
            group.create_task(self._mirror.run(), name="mirror")
        if self._archive is not None:
            self._archive.take_up(self._runs.items.values())
            group.create_task(self._archive.run(), name="archive")
        group.create_task(self._history.run(), name="history")
        group.create_task(self._releaser.run(), name="releases")
        for queue, workers in ((self._queue, self._config.workers), (self._writes, WRITERS)):
            for number in range(workers):
                group.create_task(self._work(queue), name=f"worker {number}")
        await rim.run(self._rim, namespace=self._config.watch_namespace, identity=self._identity)
        raise Stopped

    async def _prime(self) -> None:
        """Know the machine types and providers before the first plan: kopf brings them later."""
        for item in (await self._client.list_all(INSTANCE_TYPES)).items:
            self._rim.take_instance_type(item, gone=False)
        listed = await self._client.list_all(
            STORAGE_PROVIDERS, namespace=self._config.watch_namespace
        )
        for item in listed.items:
            self._rim.take_provider(item, gone=False)

    async def _release_claims(self) -> None:
        watched = self._config.watch_namespace
        await run_claims.release_left(self._client, self._pod_index, namespace=watched)

    async def _until_answered(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await ask()
            except KubeError as error:
                logger.warning("the API server does not answer: %s", error)
                await asyncio.sleep(1)

    async def _work(self, queue: KeyedQueue[Key]) -> None:
        while True:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            try:
                await self._look(queue, key)
            finally:
                queue.done(key)

    async def _look(self, queue: KeyedQueue[Key], key: Key) -> None:
        """Reconcile one key. Whatever is wrong with one object must not stop the others."""
        started = time.monotonic()
        result = "ok"
        try:
            if key.controller == "run":
                await self._run_controller.reconcile(key)
            elif key.controller == "status":
                await self._run_controller.writer.reconcile(key)
            elif key.controller == "dataset":
                await self._datasets.controller.reconcile(key)
            else:
                await self._workflow_controller.reconcile(key)
            queue.forget(key)
        except NotLeading:
            result = "not-leading"
            raise
        except KubeError as error:
            result = "retry"
            details: dict[str, Any] = {"key": "/".join(key), "error": str(error)}
            logger.warning("will look again", extra=details)
            queue.add_rate_limited(key)
        except Exception:
            result = "error"
            logger.exception("cannot reconcile", extra={"key": "/".join(key)})
            queue.add_rate_limited(key)
        finally:
            self._metrics.reconcile_duration_seconds.labels(key.controller, result).observe(
                time.monotonic() - started
            )
