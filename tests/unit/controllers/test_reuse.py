"""Results of ended runs are found by their keys, read again, and never across namespaces."""

import pytest

from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.reuse import ResultIndex
from gradient_operator.kube.resources import DATASET_VERSIONS, RUNS
from tests.builders import DIGEST
from tests.unit.controllers.memory_api import MemoryApi

KEY = "0" * 32
POLICY = {"reuse": True}
VERSION = {"version": "d:abc", "digest": DIGEST, "bytes": 1, "files": 1}


@pytest.fixture
def api():
    api = MemoryApi()
    api.put(DATASET_VERSIONS, "d-abc", spec={})
    return api


def ended(api, name="old", *, phase="Failed", job="Succeeded", policy=POLICY, **more):
    record = {"phase": job, "key": KEY, "outputs": {"o": VERSION}, **more}
    status = {"phase": phase, "jobs": {"a": record}}
    return api.put(RUNS, name, spec={"policy": policy, "definition": {}}, status=status)


def index(*bodies):
    made = ResultIndex()
    for body in bodies:
        made.changed(None, project_run(body))
    return made


async def find(api, made, namespace="ns"):
    return await made.find(api, namespace=namespace, key=KEY)


async def test_a_result_is_found_with_its_source(api):
    found = await find(api, index(ended(api)))
    assert found.source == "old/a"
    assert found.outputs["o"].version == "d:abc"


async def test_a_result_that_was_reused_itself_keeps_its_first_source(api):
    assert (await find(api, index(ended(api, source="first/x")))).source == "first/x"


@pytest.mark.parametrize(
    "how",
    [{"job": "Failed"}, {"job": "Cancelled"}, {"phase": "Running"}, {"policy": {}}],
    ids=["failed", "cancelled", "under way", "not asked for"],
)
async def test_nothing_else_is_found(api, how):
    made = index(ended(api, **how))
    assert made.runs == {}
    assert await find(api, made) is None


async def test_results_stay_in_their_namespace(api):
    assert await find(api, index(ended(api)), namespace="other") is None


async def test_a_stale_index_finds_nothing(api):
    made = index(ended(api))
    api.all(RUNS)["old"]["status"]["jobs"]["a"]["key"] = "1" * 32
    assert await find(api, made) is None
    del api.objects["gradientruns", "ns", "old"]
    assert await find(api, made) is None


async def test_a_version_that_is_gone_or_going_is_not_handed_on(api):
    made = index(ended(api))
    api.put(DATASET_VERSIONS, "d-abc", spec={}, metadata={"deletionTimestamp": "now"})
    assert await find(api, made) is None
    del api.objects["gradientdatasetversions", "ns", "d-abc"]
    assert await find(api, made) is None


def test_a_run_that_goes_is_forgotten(api):
    view = project_run(ended(api))
    made = ResultIndex()
    made.changed(None, view)
    made.changed(view, None)
    assert made.runs == {}
