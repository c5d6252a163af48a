from gradient_operator.api import names
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.validate import parse_file
from tests.bench import definitions

TYPE = InstanceTypeSpec(name="bench-1", node_selector={names.LABEL_POOL: "cpu"})


def needs(jobs):
    compiled = compile_file(parse_file({"jobs": jobs}), given={}).workflow
    return {name: job.needs for name, job in compiled.jobs.items()}


def test_each_job_of_a_chain_needs_the_one_before():
    assert needs(definitions.chain("bench-1", 3)) == {
        "Level00": (),
        "Level01": ("Level00",),
        "Level02": ("Level01",),
    }


def test_fan_out_has_one_job_before_and_one_after_all_others():
    found = needs(definitions.fan_out("bench-1", 3))
    middle = ("Middle0000", "Middle0001", "Middle0002")
    assert found["First"] == ()
    assert all(found[name] == ("First",) for name in middle)
    assert set(found["Last"]) == set(middle)
    assert list(found)[-1] == "Last"


def test_bare_pods_belong_to_nobody():
    jobs = definitions.chain("bench-1", 2)
    pods = definitions.bare_pods(jobs, run="chain-1", namespace="bench", machine_type=TYPE)
    assert list(pods) == ["Level00", "Level01"]
    for pod in pods.values():
        assert "ownerReferences" not in pod["metadata"]
        assert "finalizers" not in pod["metadata"]
        assert pod["metadata"]["labels"][names.LABEL_MANAGED_BY] != names.MANAGER
        assert pod["spec"]["nodeSelector"] == {names.LABEL_POOL: "cpu"}


def test_bare_pods_of_two_runs_do_not_meet():
    jobs = {"Only": definitions.job("bench-1")}
    found = [
        definitions.bare_pods(jobs, run=run, namespace="bench", machine_type=TYPE)["Only"]
        for run in ("burst-1", "burst-2")
    ]
    assert found[0]["metadata"]["name"] != found[1]["metadata"]["name"]
