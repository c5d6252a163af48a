"""What the cluster calls its data stands in the bucket soon after, and nothing waits for it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from obstore.store import MemoryStore

from gradient_operator.controllers.dataset_records import (
    VersionIndex,
    project_dataset,
    project_version,
)
from gradient_operator.controllers.mirror import DatasetMirror
from gradient_operator.dataset_versions import Content, commit
from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.datasets.mirror import DatasetRecord, VersionRecord, read_all
from gradient_operator.datasets.signing import KeyUnusable, Verifier
from gradient_operator.datasets.statements import find_statements
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.unit.controllers.memory_api import MemoryApi
from tests.unit.datasets.test_signing import private, public
from tests.unit.datasets.trees import faulty_store

FIRST, SECOND = "ab" * 32, "cd" * 32


class World:
    def __init__(self):
        self.api = MemoryApi()
        self.backend = ObstoreBackend(MemoryStore(), "memory")
        self.restart()

    def restart(self, signing_key=None):
        self.store, self.faults = faulty_store(self.backend)
        self.datasets, self.versions = {}, VersionIndex()
        self.mirror = DatasetMirror(
            self.api,
            lambda: self.store,
            Metrics(),
            datasets=self.datasets,
            versions=self.versions,
            signing_key=signing_key,
        )

    def watch(self):
        """The caches see what is there now."""
        self.datasets.clear()
        self.versions.by_dataset.clear()
        for item in self.api.all(DATASETS).values():
            view = project_dataset(item)
            self.datasets[view.namespace, view.name] = view
        for item in self.api.all(DATASET_VERSIONS).values():
            self.versions.update(None, project_version(item))

    async def put(self, digest, *, origin=None, **changes):
        content = Content(digest=digest, bytes=7, files=2, origin=origin)
        place = {"namespace": "ns", "dataset": DatasetReference("cats"), **changes}
        await commit(self.api, content=content, **place)

    async def look(self):
        self.watch()
        for view in self.datasets.values():
            self.mirror.note(view)
        await self.mirror.flush()

    def statements(self, digest, verifier=None):
        name = f"ns/cats:{version_id(digest)}"
        return list(find_statements(self.store, digest, name, verifier))

    def records(self):
        found = list(read_all(self.store))
        datasets = [each for each in found if isinstance(each, DatasetRecord)]
        versions = [each.spec["digest"] for each in found if isinstance(each, VersionRecord)]
        return datasets, sorted(versions)


@pytest.fixture
def world():
    return World()


async def test_names_versions_and_tags_are_mirrored(world):
    await world.put(FIRST)
    await world.put(SECOND)
    await world.look()
    (dataset,), versions = world.records()
    assert (dataset.name, dataset.latest, versions) == ("cats", SECOND, [FIRST, SECOND])
    world.api.all(DATASETS)["cats"]["spec"]["tags"] = {"best": "a" * 12}
    await world.look()
    assert world.records()[0][0].spec["tags"] == {"best": "a" * 12}


async def test_what_is_there_is_not_written_again(world):
    await world.put(FIRST)
    await world.look()
    world.faults.calls.clear()
    await world.look()
    assert world.faults.count("put") == 0
    world.restart()
    await world.look()
    assert world.faults.count("put") == 1  # the dataset's, which may have changed meanwhile


async def test_only_versions_that_were_not_told_of_are_read(world):
    for number in range(8):
        await world.put(f"{number:02x}" * 32)
    await world.look()
    read = []

    def reading(verb, call):
        async def read_it(*arguments, **how):
            read.append((verb, how.get("name")))
            return await call(*arguments, **how)

        return read_it

    world.api.get = reading("get", world.api.get)
    world.api.list_all = reading("list", world.api.list_all)
    await world.look()
    assert read == []
    await world.put(FIRST)
    read.clear()
    await world.look()
    assert read == [("get", f"cats-{version_id(FIRST)}")]
    assert len(world.records()[1]) == 9
    world.restart()
    read.clear()
    await world.look()
    assert read == [("list", None)]


async def test_datasets_of_a_namespaces_own_provider_are_left_to_its_collector(world):
    await world.put(FIRST, provider="ours")
    await world.look()
    assert world.records() == ([], [])


async def test_what_the_storage_did_not_take_is_tried_again(world):
    await world.put(FIRST)

    def fail(operation, key):
        raise StorageUnavailableError("down")

    world.faults.on_call = fail
    with pytest.raises(StorageUnavailableError):
        await world.look()
    world.faults.on_call = lambda *_: None
    await world.mirror.flush()
    assert world.records()[1] == [FIRST]


async def test_a_deleted_dataset_is_no_trouble(world):
    await world.put(FIRST)
    world.watch()
    world.mirror.note(world.datasets["ns", "cats"])
    del world.api.objects["gradientdatasets", "ns", "cats"]
    world.watch()
    await world.mirror.flush()
    assert world.records() == ([], [])


async def test_how_each_version_was_made_is_told(world):
    run = {"run": "r", "runUID": "u", "job": "j", "output": "o"}
    await world.put(FIRST, origin=run)
    await world.put(SECOND)
    await world.look()
    (by_run,), (by_hand,) = world.statements(FIRST), world.statements(SECOND)
    assert by_run.body["predicate"]["runDetails"]["builder"]["id"].endswith("/operator")
    assert by_hand.body["predicate"]["runDetails"]["builder"]["id"].endswith("/cli")
    await world.put(FIRST, origin=run | {"run": "later", "runUID": "v"})
    await world.look()
    told = [each.body["predicate"]["buildDefinition"] for each in world.statements(FIRST)]
    assert {each["externalParameters"]["run"] for each in told} == {"r", "later"}


async def test_what_was_told_is_not_told_again(world):
    await world.put(FIRST)
    await world.look()
    world.restart()
    await world.look()
    assert world.faults.count("put", "provenance") == 0


async def test_a_key_signs_also_what_was_told_before(world, tmp_path):
    await world.put(FIRST)
    await world.look()
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(private(key))
    world.restart(tmp_path / "key.pem")
    await world.look()
    (found,) = world.statements(FIRST, Verifier.load([public(key)]))
    assert found.verified


async def test_a_key_that_is_none_costs_no_names(world, tmp_path):
    (tmp_path / "key.pem").write_text("none")
    world.restart(tmp_path / "key.pem")
    await world.put(FIRST)
    with pytest.raises(KeyUnusable):
        await world.look()
    assert world.records()[1] == [FIRST]
    assert world.statements(FIRST) == []
