"""Whole files from the grammar: valid ones run to their end, broken ones never get a Pod."""

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_operator.api.workflow import Policy
from gradient_operator.controllers.pinning import StartRefused
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_start import begin
from gradient_operator.engine.model import JobPhase, RunPhase
from gradient_operator.engine.volumes import choose
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.model import CompiledWorkflow
from gradient_operator.workflow.validate import parse_file
from tests.builders import MACHINES
from tests.property.engine.simulator import Process, World
from tests.property.workflow.grammar import BREAKS, files
from tests.unit.pods.files import pods_of_workflow

quick = settings(max_examples=100, deadline=None, derandomize=True)


def run(workflow: CompiledWorkflow) -> World:
    """Let a run of the workflow go its way, on a cluster without faults."""
    volumes = choose(
        workflow,
        run="run",
        policy=Policy().volumes,
        instance_types=MACHINES,
        read_write_many_class="shared",
    )
    world = World(workflow, Policy(), volumes=volumes)
    process = Process(world, lambda: False)
    for _ in range(6 * len(workflow.jobs) + 6):
        for key in list(world.pods):
            world.schedule(key)
            world.start(key)
            world.end_main(key, 0)
            world.end_upload(key, 0)
            process.deliver(key)
        process.write(process.look().phase)
    return world


@quick
@given(files())
def test_a_valid_file_runs_to_its_end(file):
    workflow = compile_file(parse_file(file), given={}).workflow
    assert set(workflow.jobs) == set(file["jobs"])
    world = run(workflow)
    assert world.phase is RunPhase.SUCCEEDED
    assert {record.phase for record in world.status.values()} == {JobPhase.SUCCEEDED}
    assert len(world.created) == len(workflow.jobs)


@quick
@given(files())
def test_every_job_of_a_valid_file_has_a_pod_that_holds_what_it_declares(file):
    workflow = compile_file(parse_file(file), given={}).workflow
    pods = pods_of_workflow(workflow, name="file")
    assert set(pods) == set(workflow.jobs)
    for name, pod in pods.items():
        main = pod["spec"]["containers"][0]
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        paths = [mount["mountPath"] for mount in main["volumeMounts"]]
        assert {mount["name"] for mount in main["volumeMounts"]} <= volumes
        assert len(paths) == len(set(paths))
        assert {f"/inputs/{item.name}" for item in workflow.jobs[name].inputs} <= set(paths)


@quick
@given(files())
def test_the_order_of_keys_in_a_file_means_nothing(file):
    turned: dict[str, Any] = dict(reversed(file.items()))
    turned["jobs"] = {
        name: dict(reversed(job.items())) for name, job in reversed(file["jobs"].items())
    }
    first = compile_file(parse_file(file), given={}).workflow.jobs
    assert compile_file(parse_file(turned), given={}).workflow.jobs == first


@settings(max_examples=150, deadline=None, derandomize=True)
@given(files(), st.sampled_from(sorted(BREAKS)))
async def test_a_broken_file_never_starts_a_pod(file, name):
    BREAKS[name](file)
    spec = {"definition": file}
    view = RunView(uid="u", namespace="n", name="r", resource_version="1", spec=spec)
    # Without any service: it is refused before anything is asked or made.
    with pytest.raises(StartRefused) as caught:
        await begin(cast("Any", None), view)
    assert caught.value.reason == "InvalidDefinition"
