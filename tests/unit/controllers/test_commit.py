"""Dataset versions and models become visible, whenever the process dies and whoever else writes."""

from dataclasses import replace

import pytest

from gradient_operator.api.datasets import DatasetVersionSpec
from gradient_operator.controllers.commit import (
    ModelVersion,
    Source,
    commit_version,
    input_versions,
    model_version,
    register_model,
)
from gradient_operator.controllers.pinning import Pinned, StartRefused
from gradient_operator.dataset_versions import CommitRefused, makings
from gradient_operator.engine.model import ContainerRecord, OutputRecord
from gradient_operator.kube.errors import Conflict
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, MODELS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.builders import done_job, make_pod, make_workflow
from tests.unit.controllers.memory_api import Died, MemoryApi

FIRST, SECOND = "ab" * 32, "cd" * 32


async def commit(api, digest=FIRST, *, job="train", run="run", **changes):
    await commit_version(
        api,
        **{
            "source": Source("ns", run, f"uid-of-{run}", job, ("ns/dogs:aaaaaaaaaaaa",)),
            "output": "model",
            "dataset": DatasetReference("cats"),
            "record": OutputRecord(digest=digest, bytes=7, files=2),
            "provider": None,
            "must_exist": False,
            "metrics": Metrics(),
            **changes,
        },
    )


def latest(api):
    return api.all(DATASETS)["cats"]["status"]["latest"]["version"]


async def test_the_first_version_makes_its_dataset():
    api = MemoryApi()
    await commit(api)
    version = version_id(FIRST)
    dataset = api.all(DATASETS)["cats"]
    assert dataset["spec"] == {"name": "cats"}
    assert dataset["status"]["latest"]["digest"] == FIRST
    made = api.all(DATASET_VERSIONS)[f"cats-{version}"]
    assert made["spec"]["origin"] == {
        "run": "run",
        "runUID": "uid-of-run",
        "job": "train",
        "output": "model",
        "inputs": ["ns/dogs:aaaaaaaaaaaa"],
    }
    assert "ownerReferences" not in made["metadata"], "a version outlives its run"


async def test_a_name_that_is_no_object_name_is_kept():
    api = MemoryApi()
    await commit(api, dataset=DatasetReference("My_Cats"), provider="ours")
    assert [item["spec"] for item in api.all(DATASETS).values()] == [
        {"name": "My_Cats", "provider": "ours"}
    ]


async def test_another_version_becomes_the_newest():
    api = MemoryApi()
    await commit(api, FIRST)
    await commit(api, SECOND)
    assert latest(api) == version_id(SECOND)
    assert len(api.all(DATASET_VERSIONS)) == 2


async def test_the_same_content_made_again_is_the_same_version_and_the_newest():
    api = MemoryApi()
    await commit(api, FIRST)
    await commit(api, SECOND)
    await commit(api, FIRST, run="later")
    assert latest(api) == version_id(FIRST)
    assert len(api.all(DATASET_VERSIONS)) == 2


async def test_all_that_is_known_of_the_making_is_kept():
    api = MemoryApi()
    container = ContainerRecord(started_at=1_769_860_800, exit_code=0, image_id="bash@sha256:1")
    pod = replace(
        make_pod(), main=container, uploader=replace(container, finished_at=1_769_860_860.5)
    )
    source = Source(
        "ns",
        "run",
        "uid",
        "train",
        ("ns/dogs:aaaaaaaaaaaa",),
        input_digests={"ns/dogs:aaaaaaaaaaaa": SECOND},
        workflow="w",
        attempt=2,
        spec_digest=SECOND,
        revision="main",
        pod=pod,
    )
    await commit(api, source=source)
    (version,) = api.all(DATASET_VERSIONS).values()
    assert version["spec"]["origin"] == {
        "run": "run",
        "runUID": "uid",
        "job": "train",
        "output": "model",
        "inputs": ["ns/dogs:aaaaaaaaaaaa"],
        "inputDigests": {"ns/dogs:aaaaaaaaaaaa": SECOND},
        "workflow": "w",
        "attempt": 2,
        "specDigest": SECOND,
        "revision": "main",
        "images": {"main": "bash@sha256:1", "uploader": "bash@sha256:1"},
        "startedAt": "2026-01-31T12:00:00Z",
        "finishedAt": "2026-01-31T12:01:00Z",
    }
    DatasetVersionSpec.model_validate(version["spec"])


async def test_what_a_version_cannot_hold_is_left_out_and_counted():
    api = MemoryApi()
    read = {f"ns/dogs:{number:012}": SECOND for number in range(1_100)}
    source = Source(
        "ns", "run", "uid", "j", tuple(read), read, repository="x" * 2_000, revision="main"
    )
    await commit(api, source=source)
    (version,) = api.all(DATASET_VERSIONS).values()
    origin = DatasetVersionSpec.model_validate(version["spec"]).origin
    assert (len(origin.inputs), len(origin.input_digests), origin.inputs_left_out) == (
        1_024,
        1_024,
        76,
    )
    assert (origin.repository, origin.revision) == (None, "main")


async def test_each_run_that_made_the_same_content_is_remembered_once():
    api = MemoryApi()
    for run in ("first", "second", "third", "second", "first"):
        await commit(api, run=run)
    (version,) = api.all(DATASET_VERSIONS).values()
    assert [each["run"] for each in makings(version)] == ["first", "third", "second"]
    for number in range(20):
        await commit(api, run=f"r{number}")
    (version,) = api.all(DATASET_VERSIONS).values()
    assert len(version["status"]["madeAgain"]) == 16
    assert version["status"]["madeAgain"][0]["run"] == "r19"


@pytest.mark.parametrize("lives", range(3))
async def test_a_death_after_any_step_is_made_good_by_the_next_look(lives):
    undisturbed, api = MemoryApi(), MemoryApi()
    await commit(undisturbed)
    api.lives = lives
    with pytest.raises(Died):
        await commit(api)
    api.lives = None
    await commit(api)
    for resource in (DATASETS, DATASET_VERSIONS):
        found, wanted = api.all(resource), undisturbed.all(resource)
        assert {name: item["spec"] for name, item in found.items()} == {
            name: item["spec"] for name, item in wanted.items()
        }
    assert latest(api) == version_id(FIRST)


async def test_a_commit_that_is_repeated_does_not_hide_a_newer_version():
    api = MemoryApi()
    await commit(api, FIRST, run="slow")
    await commit(api, SECOND, run="fast")
    await commit(api, FIRST, run="slow")
    assert latest(api) == version_id(SECOND)


async def test_a_repetition_writes_nothing():
    api = MemoryApi()
    await commit(api)
    before = list(api.writes)
    await commit(api)
    assert api.writes == before


async def test_a_concurrent_writer_only_delays():
    api = MemoryApi()
    await commit(api, FIRST)
    attempts = iter([Conflict("changed"), Conflict("changed"), None])
    original = api.merge_patch

    async def contended(*arguments, **options):
        error = next(attempts)
        if error is not None:
            raise error
        return await original(*arguments, **options)

    api.merge_patch = contended
    await commit(api, SECOND)
    assert latest(api) == version_id(SECOND)


async def test_a_dataset_that_always_changes_is_left_for_the_next_look():
    api = MemoryApi()
    api.refusals["patch", "gradientdatasets"] = Conflict("changed")
    with pytest.raises(Conflict, match="its newest version will be set later"):
        await commit(api)
    api.refusals.clear()
    await commit(api)
    assert latest(api) == version_id(FIRST)


async def test_a_dataset_that_must_exist_is_not_made():
    api = MemoryApi()
    with pytest.raises(CommitRefused, match=r"policy\.datasets\.mustExist forbids making it"):
        await commit(api, must_exist=True)
    assert api.writes == []
    api.put(DATASETS, "cats", spec={})
    await commit(api, must_exist=True)
    assert latest(api) == version_id(FIRST)


async def test_other_content_under_the_same_version_is_refused():
    api = MemoryApi()
    await commit(api, FIRST)
    twin = FIRST[:16] + "00" * 24
    with pytest.raises(CommitRefused, match="exists with other content"):
        await commit(api, twin, run="other")


class TestModel:
    def job(self, source):
        builder = make_workflow().job("train").makes("out", "dataset", "cats")
        builder.job("m").needs("train").uses("create-model@v1", name="My Model", type="Custom")
        return builder.takes("model", source).compile().jobs["m"]

    async def register(self, api, namespace="ns"):
        job = self.job("train.outputs.out")
        source = Source("ns", "run", "uid", "m")
        version = ModelVersion(namespace, "cats", "abcdefgh2345", FIRST)
        return await register_model(api, job, source=source, version=version)

    async def test_it_is_registered_once(self):
        api = MemoryApi()
        first, second = await self.register(api), await self.register(api)
        assert first == second
        assert list(api.all(MODELS)) == [first]
        spec = api.all(MODELS)[first]["spec"]
        assert (spec["name"], spec["type"], spec["version"]) == (
            "My Model",
            "Custom",
            "abcdefgh2345",
        )

    def test_it_is_of_the_version_that_the_run_made(self):
        output = OutputRecord(digest=FIRST, version="cats:abcdefgh2345")
        found = model_version(
            self.job("train.outputs.out"),
            namespace="ns",
            ledger={"train": done_job(outputs={"out": output})},
            pinned={},
        )
        assert found == ModelVersion("ns", "cats", "abcdefgh2345", FIRST)

    def test_or_of_the_version_that_was_pinned(self):
        job = self.job({"type": "dataset", "with": {"ref": "cats"}})
        pinned = {"cats": Pinned("cats", "other", "abcdefgh2345", FIRST, 7)}
        version = model_version(job, namespace="ns", ledger={}, pinned=pinned)
        assert version == ModelVersion("other", "cats", "abcdefgh2345", FIRST)
        found = input_versions(job, namespace="ns", pinned=pinned, ledger={})
        assert found == {"other/cats:abcdefgh2345": FIRST}

    async def test_a_dataset_of_another_namespace_is_named_with_it(self):
        api = MemoryApi()
        name = await self.register(api, "other")
        spec = api.all(MODELS)[name]["spec"]
        assert spec["datasetNamespace"] == "other"

    def test_what_an_earlier_job_of_the_run_made_counts_as_read_too(self):
        output = OutputRecord(digest=FIRST, version="cats:abcdefgh2345")
        ledger = {"train": done_job(outputs={"out": output})}
        job = self.job("train.outputs.out")
        found = input_versions(job, namespace="ns", pinned={}, ledger=ledger)
        assert found == {"ns/cats:abcdefgh2345": FIRST}

    def test_a_version_that_was_never_made_is_refused(self):
        with pytest.raises(StartRefused, match="holds no dataset version"):
            model_version(
                self.job("train.outputs.out"),
                namespace="ns",
                ledger={"train": done_job()},
                pinned={},
            )
