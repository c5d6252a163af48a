"""What a dataset says about itself, and what retention does to its versions."""

import pytest

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.dataset import DatasetController
from gradient_operator.controllers.dataset_records import (
    VersionIndex,
    project_dataset,
    project_version,
)
from gradient_operator.controllers.dataset_uses import MOST, Uses
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.services import Definitions, Key, NotLeading, PodIndex, Services
from gradient_operator.dataset_versions import Content, commit
from gradient_operator.kube.errors import Conflict
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, MODELS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.unit.controllers.memory_api import Died, MemoryApi

KEY = Key("dataset", "ns", "cats")
FIRST, SECOND, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
NOON = 1_769_860_800.0
"""When the memory API makes its first object: 2026-01-31T12:00:00Z."""
DAY = 86_400


class Cluster:
    """A namespace with a dataset, and a controller that may die and begin anew."""

    def __init__(self):
        self.api = MemoryApi()
        self.leading = True
        self.now = NOON + 60
        self.uses = Uses()
        self.datasets = {}

    def controller(self):
        """With caches that have caught up with the API server."""
        self.metrics = Metrics()
        services = Services(
            client=self.api,
            config=OperatorConfig(),
            metrics=self.metrics,
            recorder=EventRecorder(self.api, component="c", instance="i"),
            queue=KeyedQueue(),
            pods=PodIndex(),
            definitions=Definitions(),
            assume_pod=lambda pod: None,
            is_leader=lambda: self.leading,
            clock=lambda: self.now,
        )
        index = VersionIndex()
        for item in self.api.all(DATASET_VERSIONS).values():
            index.update(None, project_version(item))
        views = [project_dataset(item) for item in self.api.all(DATASETS).values()]
        self.datasets = {("ns", view.name): view for view in views}
        return DatasetController(services, datasets=self.datasets, versions=index, uses=self.uses)

    async def look(self):
        await self.controller().reconcile(KEY)

    async def settle(self):
        """Look until nothing is written any more."""
        for _ in range(5):
            writes = len(self.api.writes)
            await self.look()
            if len(self.api.writes) == writes:
                return
        pytest.fail("it writes for ever")

    async def put(self, *digests, **content):
        for digest in digests:
            body = Content(digest=digest, bytes=3 * 2**20, files=2, **content)
            await commit(self.api, namespace="ns", dataset=DatasetReference("cats"), content=body)

    def spec(self, **changes):
        self.api.all(DATASETS)["cats"]["spec"] |= changes

    @property
    def status(self):
        return self.api.all(DATASETS)["cats"]["status"]

    def version(self, digest):
        return self.api.all(DATASET_VERSIONS).get(f"cats-{version_id(digest)}")

    def run(self, name, digest, *, phase="Running", at="2026-01-31T12:00:30Z"):
        """A run that took the version as an input, as the reflector shows it."""
        pinned = {"dataset": "cats", "namespace": "ns", "version": version_id(digest)}
        body = {
            "metadata": {"name": name, "namespace": "ns", "uid": name, "creationTimestamp": at},
            "status": {"phase": phase, "inputs": {"cats": pinned}},
        }
        return self.uses.note(project_run(body))


@pytest.fixture
def cluster():
    return Cluster()


def ready(cluster):
    (found,) = cluster.status["conditions"]
    return found["status"], found["reason"], found["message"]


async def test_a_dataset_tells_its_newest_version_sums_and_tags(cluster):
    await cluster.put(FIRST, SECOND)
    cluster.spec(tags={"best": version_id(FIRST), "good": version_id(FIRST)})
    await cluster.settle()
    status = cluster.status
    assert status["latest"]["digest"] == SECOND
    assert (status["versions"], status["bytes"], status["size"]) == (2, 6 * 2**20, "3.0 MiB")
    assert status["tags"] == "best, good"
    assert ready(cluster)[0] == "True"
    assert cluster.version(FIRST)["status"]["tags"] == "best, good"
    assert cluster.version(SECOND)["status"] == {"size": "3.0 MiB", "tags": "", "madeBy": "put"}


async def test_a_version_names_the_job_that_made_it(cluster):
    await cluster.put(FIRST, origin={"run": "train-1", "job": "fit"})
    await cluster.settle()
    assert cluster.version(FIRST)["status"]["madeBy"] == "train-1/fit"


async def test_a_tag_that_names_no_version_is_told_in_words(cluster):
    await cluster.put(FIRST)
    cluster.spec(tags={"best": "aaaaaaaaaaaa", "good": version_id(FIRST)})
    await cluster.settle()
    status, reason, message = ready(cluster)
    assert (status, reason) == ("False", "TagMissesVersion")
    assert "best (aaaaaaaaaaaa)" in message
    assert "gradient dataset versions cats -n ns" in message
    assert cluster.status["tags"] == "good"
    cluster.spec(tags={"good": version_id(FIRST)})
    await cluster.settle()
    assert ready(cluster)[0] == "True"


async def test_newest_is_found_again_after_its_deletion(cluster):
    await cluster.put(FIRST, SECOND)
    del cluster.api.objects["gradientdatasetversions", "ns", f"cats-{version_id(SECOND)}"]
    await cluster.settle()
    assert cluster.status["latest"]["digest"] == FIRST
    del cluster.api.objects["gradientdatasetversions", "ns", f"cats-{version_id(FIRST)}"]
    await cluster.settle()
    assert "latest" not in cluster.status
    assert cluster.status["versions"] == 0


async def test_a_cache_that_is_behind_takes_nothing_back(cluster):
    await cluster.put(FIRST)
    controller = cluster.controller()
    await cluster.put(SECOND)
    with pytest.raises(Conflict):
        await controller.reconcile(KEY)
    assert cluster.status["latest"]["digest"] == SECOND
    # The dataset's newest state is there, its newest version is not yet.
    fresh = cluster.controller()
    fresh._versions.by_dataset["ns", "cats"].pop(version_id(SECOND))
    await fresh.reconcile(KEY)
    assert cluster.status["latest"]["digest"] == SECOND


async def test_an_older_content_that_was_put_again_stays_the_newest(cluster):
    await cluster.put(FIRST, SECOND, FIRST)
    await cluster.settle()
    assert cluster.status["latest"]["digest"] == FIRST


async def test_who_does_not_lead_writes_nothing(cluster):
    await cluster.put(FIRST)
    cluster.leading = False
    with pytest.raises(NotLeading):
        await cluster.look()


async def test_readers_are_written_down_newest_first_and_outlive_their_runs(cluster):
    await cluster.put(FIRST)
    for number in range(MOST + 3):
        cluster.run(f"r{number:02}", FIRST, at=f"2026-01-31T13:00:{number:02}Z")
    await cluster.settle()
    status = cluster.version(FIRST)["status"]
    assert status["usedBy"][0] == "ns/r18"
    assert len(status["usedBy"]) == MOST
    assert status["lastUsedAt"] == "2026-01-31T13:00:18Z"
    cluster.run("r18", FIRST, phase="Succeeded")
    cluster.run("late", FIRST, at="2026-02-01T00:00:00Z")
    await cluster.settle()
    assert cluster.version(FIRST)["status"]["usedBy"][:2] == ["ns/late", "ns/r18"]


class TestRetention:
    @pytest.fixture
    async def three(self, cluster):
        await cluster.put(FIRST, SECOND, THIRD)
        cluster.spec(retention={"keepLast": 1, "grace": "1d"})
        await cluster.settle()
        return cluster

    async def test_versions_are_marked_then_deleted(self, three):
        assert three.version(FIRST)["status"]["expiresAt"] == "2026-02-01T12:01:00Z"
        assert three.status["expiring"] == {
            "versions": 2,
            "bytes": 6 * 2**20,
            "nextAt": "2026-02-01T12:01:00Z",
        }
        three.now += DAY
        await three.settle()
        assert list(three.api.all(DATASET_VERSIONS)) == [f"cats-{version_id(THIRD)}"]
        assert "expiring" not in three.status
        assert three.status["versions"] == 1

    async def test_what_was_deleted_is_counted(self, three):
        three.now += DAY
        await three.look()
        assert three.metrics.dataset_versions_expired_total._value.get() == 2
        assert three.metrics.dataset_bytes_expired_total._value.get() == 6 * 2**20

    async def test_a_tag_a_run_or_a_model_saves_a_marked_version(self, three):
        three.spec(tags={"keep": version_id(FIRST)})
        three.run("reader", SECOND)
        three.now += DAY
        await three.settle()
        assert len(three.api.all(DATASET_VERSIONS)) == 3
        assert "expiresAt" not in three.version(FIRST)["status"]
        three.run("reader", SECOND, phase="Failed")
        spec = {"dataset": "cats", "version": version_id(SECOND)}
        three.api.put(MODELS, "model", spec=spec)
        three.now += DAY
        await three.settle()
        three.now += DAY
        await three.settle()
        assert three.version(SECOND) is not None

    async def test_a_model_of_another_namespace_that_may_read_it_keeps_its_version(self, three):
        three.spec(readableFrom=["other"])
        spec = {"dataset": "cats", "datasetNamespace": "ns", "version": version_id(FIRST)}
        three.api.put(MODELS, "model", spec=spec, namespace="other")
        three.api.put(MODELS, "same", spec=spec | {"datasetNamespace": "other"}, namespace="other")
        for _ in range(3):
            await three.settle()
            three.now += DAY
        assert three.version(FIRST) is not None
        assert len(three.api.all(DATASET_VERSIONS)) == 2

    async def test_the_newest_is_kept_also_when_it_is_an_older_content(self, three):
        await three.put(FIRST)
        three.now += DAY
        await three.settle()
        names = {version_id(FIRST), version_id(THIRD)}
        assert set(three.api.all(DATASET_VERSIONS)) == {f"cats-{name}" for name in names}

    async def test_use_within_the_time_keeps(self, cluster):
        await cluster.put(FIRST, SECOND)
        cluster.spec(retention={"keepUsedWithin": "2d", "grace": "1h"})
        cluster.now += DAY
        cluster.run("reader", FIRST, at="2026-02-01T12:00:00Z")
        await cluster.settle()
        cluster.run("reader", FIRST, phase="Succeeded")
        cluster.now = NOON + 2.5 * DAY
        await cluster.settle()
        assert "expiresAt" not in cluster.version(FIRST)["status"]
        cluster.now = NOON + 3.5 * DAY
        await cluster.settle()
        assert "expiresAt" in cluster.version(FIRST)["status"]

    async def test_a_policy_that_cannot_be_read_deletes_nothing_and_says_so(self, three):
        three.now += DAY
        three.spec(retention={"keepUsedWithin": "soon"})
        await three.settle()
        assert len(three.api.all(DATASET_VERSIONS)) == 3
        assert ready(three)[:2] == ("False", "RetentionUnreadable")

    async def test_a_crash_after_any_write_ends_in_the_same_state(self):
        async def after(deaths):
            cluster = Cluster()
            await cluster.put(FIRST, SECOND, THIRD)
            cluster.spec(retention={"keepLast": 1, "grace": "1d"}, tags={"t": version_id(FIRST)})
            await cluster.settle()
            cluster.now += DAY
            cluster.run("reader", THIRD)
            cluster.api.lives = deaths
            for _ in range(20):
                try:
                    await cluster.settle()
                    break
                except Died:
                    cluster.api.lives = deaths
            statuses = {
                name: item["status"] for name, item in cluster.api.all(DATASET_VERSIONS).items()
            }
            return cluster.status, statuses

        whole = await after(None)
        assert len(whole[1]) == 2
        for deaths in range(1, 6):
            assert await after(deaths) == whole


def test_runs_are_not_named_where_they_read_nothing(cluster):
    assert cluster.uses.note(None) == set()
    body = {"metadata": {"name": "r", "namespace": "ns", "uid": "r"}, "status": {}}
    assert cluster.uses.note(project_run(body)) == set()
