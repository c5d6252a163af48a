"""What keeps a job that could start from starting, and what is said of it."""

import pytest

from gradient_operator.engine.actions import CreatePod
from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, VolumeRecord
from gradient_operator.engine.planner import plan
from tests.builders import (
    done_job,
    ended,
    make_observation,
    make_pod,
    make_workflow,
    running,
)

NOW = 1_000.0
P = JobPhase


def look(workflow, *pods, now=NOW, **changes):
    return plan(make_observation(workflow, *pods, **changes), now)


def single(**fields):
    return make_workflow().job("a", **fields).compile()


STORED = {
    "a dataset output": (make_workflow().job("a").makes("d", "dataset", "cats"), {}),
    "a string output": (make_workflow().job("a").makes("s", "string"), {}),
    "a copied volume": (
        make_workflow().job("a").makes("v", "volume"),
        {"a.v": VolumeRecord("Copy", "")},
    ),
    "a dataset input": (
        make_workflow().job("a").takes("d", {"type": "dataset", "with": {"ref": "cats"}}),
        {},
    ),
}  # fmt: skip


class TestObstacles:
    def test_an_unknown_machine_type_is_waited_for(self):
        found = look(make_workflow().job("a").on("c4").compile())
        assert found.actions == ()
        assert found.ledger["a"].reason == "UnknownInstanceType"
        assert found.ledger["a"].message == (
            "machine type 'c4' is not known; did you mean 'C4'? "
            "List them: kubectl get gradientinstancetypes"
        )

    def test_it_starts_when_the_type_comes(self):
        ledger = {"a": JobRecord(reason="UnknownInstanceType", message="not known")}
        found = look(single(), ledger=ledger)
        assert found.actions == (CreatePod("a", 1),)
        assert found.ledger["a"].message is None

    def test_a_volume_waits_until_all_its_users_can_be_placed(self):
        builder = make_workflow().job("a").makes("v", "volume")
        found = look(builder.compile())
        assert (found.actions, found.ledger["a"].reason) == ((), "UnknownInstanceType")

    @pytest.mark.parametrize(("builder", "volumes"), STORED.values(), ids=STORED)
    def test_storage_that_does_not_answer_holds_jobs_back(self, builder, volumes):
        found = look(builder.compile(), volumes=volumes, storage_problem="S3 is away")
        assert found.actions == ()
        assert found.ledger["a"].reason == "StorageUnavailable"
        assert found.message == "job a waits: S3 is away"

    def test_jobs_that_need_no_storage_go_on(self):
        builder = make_workflow().job("a").makes("v", "volume").takes(
            "s", {"type": "string", "with": {"value": "x"}}
        )  # fmt: skip
        volumes = {"a.v": VolumeRecord("ReadWriteOnce", "", "claim")}
        found = look(builder.compile(), volumes=volumes, storage_problem="S3 is away")
        assert found.actions == (CreatePod("a", 1),)

    @pytest.mark.parametrize(
        ("output", "held"),
        [(OutputRecord(value="x"), False), (OutputRecord(ref="runs/u/result.json"), True)],
        ids=["a short string travels with the Pod", "a long one is fetched"],
    )
    def test_a_string_from_another_job_needs_storage_only_if_it_is_long(self, output, held):
        builder = make_workflow().job("b").makes("s", "string").job("a").needs("b")
        workflow = builder.takes("s", "b.outputs.s").compile()
        ledger = {"b": done_job(outputs={"s": output})}
        found = look(workflow, ledger=ledger, storage_problem="S3 is away")
        assert (found.actions == ()) is held

    def test_an_upload_that_waits_for_storage_says_so(self):
        pod = make_pod(main=ended(0, at=900), has_uploader=True, uploader=running())
        found = look(single(), pod, storage_problem="S3 is away")
        assert found.ledger["a"].reason == "StorageUnavailable"

    def test_inputs_that_wait_for_storage_say_so(self):
        found = look(single(), make_pod(fetch=running()), storage_problem="S3 is away")
        assert found.ledger["a"].reason == "StorageUnavailable"

    def test_a_pod_that_was_refused_is_tried_again_with_the_reason_shown(self):
        found = look(single(), problems={"a": "exceeded quota"})
        assert found.actions == (CreatePod("a", 1),)
        assert (found.ledger["a"].reason, found.ledger["a"].message) == (
            "QuotaExceeded", "exceeded quota",
        )  # fmt: skip
