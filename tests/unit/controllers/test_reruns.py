"""The run that a rerun names is read once; without it there is a clear refusal."""

import pytest

from gradient_operator.controllers.pinning import StartRefused
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.reruns import read_parent
from gradient_operator.controllers.run_start import check
from gradient_operator.kube.resources import RUNS
from tests.builders import DIGEST, make_workflow
from tests.unit.controllers.memory_api import MemoryApi

DEFINITION = make_workflow().job("a").job("b").needs("a").data()
PIN = {"dataset": "d", "namespace": "ns", "version": "v", "digest": DIGEST, "bytes": 1}


@pytest.fixture
def api():
    api = MemoryApi()
    jobs = {"a": {"phase": "Succeeded", "outputs": {"o": {"value": "7"}}}, "b": {"phase": "Failed"}}
    status = {"phase": "Failed", "jobs": jobs, "inputs": {"d": PIN}}
    api.put(RUNS, "old", spec={"definition": DEFINITION, "workflow": "w"}, status=status)
    return api


async def read(api, wanted, *, definition=DEFINITION, **spec):
    rerun_of = {"name": "old", **wanted} if wanted is not None else None
    given = {"definition": definition, "workflow": "w", **spec}
    body = api.put(RUNS, "new", spec=given | ({"rerunOf": rerun_of} if rerun_of else {}))
    view = project_run(body)
    spec, workflow, _ = check(view)
    return await read_parent(api, view, spec, workflow)


async def refused(api, wanted, **how):
    with pytest.raises(StartRefused) as caught:
        await read(api, wanted, **how)
    return caught.value.reason, str(caught.value)


async def test_a_run_that_names_none_asks_nothing(api):
    assert await read(api, None) is None


async def test_pins_and_results_are_those_of_the_run_before(api):
    parent = await read(api, {"uid": api.all(RUNS)["old"]["metadata"]["uid"], "jobs": "Failed"})
    assert parent.name == "old"
    assert parent.pinned["d"].version == "v"
    assert parent.ledger["a"].outputs["o"].value == "7"


@pytest.mark.parametrize("wanted", [{"name": "gone"}, {"uid": "another"}])
async def test_a_run_that_is_gone_is_said_to_be_with_the_remedy(api, wanted):
    reason, text = await refused(api, wanted)
    assert reason == "RerunParentGone"
    assert text.endswith("Start afresh: gradient run w")


async def test_a_run_under_way_is_not_rerun(api):
    api.all(RUNS)["old"]["status"]["phase"] = "Running"
    reason, text = await refused(api, {})
    assert reason == "RerunParentUnderWay"
    assert "gradient cancel old -n ns" in text


async def test_another_definition_is_no_rerun(api):
    changed = make_workflow().job("a").job("c").needs("a").data()
    reason, text = await refused(api, {}, definition=changed)
    assert reason == "RerunDiffers"
    assert "spec.definition is not that of run old" in text


async def test_a_job_to_go_on_from_must_exist(api):
    reason, text = await refused(api, {"jobs": "Failed", "from": ["z"]})
    assert (reason, "'z'" in text) == ("RerunDiffers", True)
