"""A person puts data into a dataset; what runs do with the same code is in `controllers`."""

from gradient_operator.dataset_versions import Content, commit
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.unit.controllers.memory_api import MemoryApi

FIRST, SECOND = "ab" * 32, "cd" * 32


async def put(api, digest, *, message="by hand"):
    content = Content(digest=digest, bytes=7, files=2, message=message)
    return await commit(api, namespace="ns", dataset=DatasetReference("cats"), content=content)


def latest(api):
    return api.all(DATASETS)["cats"]["status"]["latest"]["version"]


async def test_a_version_put_by_hand_says_what_it_is_and_not_where_it_comes_from():
    api = MemoryApi()
    assert await put(api, FIRST, message="cleaned") == (version_id(FIRST), True)
    (version,) = api.all(DATASET_VERSIONS).values()
    assert version["spec"]["message"] == "cleaned"
    assert "origin" not in version["spec"]
    assert latest(api) == version_id(FIRST)


async def test_putting_an_older_content_again_makes_it_the_newest():
    api = MemoryApi()
    await put(api, FIRST)
    await put(api, SECOND)
    assert await put(api, FIRST) == (version_id(FIRST), False)
    assert latest(api) == version_id(FIRST)
    assert len(api.all(DATASET_VERSIONS)) == 2
