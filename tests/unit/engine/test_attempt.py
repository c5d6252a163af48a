"""What an attempt comes to when it has ended: versions, strings, models."""

from dataclasses import replace

from gradient_operator.engine.actions import CommitOutputs, ReadResult, RegisterModel
from gradient_operator.engine.model import JobPhase, OutputRecord, RunPhase, UploadResult
from gradient_operator.engine.planner import plan
from gradient_operator.workflow.references import version_id
from tests.builders import (
    DIGEST,
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


class TestOutputs:
    workflow = (
        make_workflow()
        .job("a").makes("model", "dataset", "cats").makes("acc", "string").makes("out", "string")
        .compile()
    )  # fmt: skip
    pod = make_pod(phase="Succeeded", main=ended(0), has_uploader=True, uploader=ended(0, at=101))
    version = OutputRecord(digest=DIGEST, bytes=3, files=1)
    result = UploadResult(outputs={"model": version, "acc": OutputRecord(value="0.9")})

    def look(self, **changes):
        return look(self.workflow, self.pod, **{"results": {self.pod.uid: self.result}, **changes})

    def test_a_version_is_committed_before_the_job_counts_as_succeeded(self):
        found = self.look()
        assert found.actions == (CommitOutputs("a", self.pod.uid, {"model": self.version}),)
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.UPLOADING, "Committing")

    def test_then_the_outputs_stand_in_the_record(self):
        found = self.look(committed=frozenset({self.pod.uid}))
        assert found.actions == ()
        record = found.ledger["a"]
        assert (record.phase, record.reason, record.exit_code) == (P.SUCCEEDED, None, 0)
        assert record.outputs == {
            "model": replace(self.version, version=f"cats:{version_id(DIGEST)}"),
            "acc": OutputRecord(value="0.9"),
        }

    def test_outputs_that_were_never_declared_are_dropped(self):
        outputs = {"model": self.version, "other": OutputRecord(value="x")}
        results = {self.pod.uid: UploadResult(outputs=outputs)}
        found = self.look(results=results, committed=frozenset({self.pod.uid}))
        assert set(found.ledger["a"].outputs) == {"model"}

    def test_a_result_without_a_declared_dataset_is_a_failed_upload(self):
        result = UploadResult(outputs={"acc": OutputRecord(value="0.9")})
        found = self.look(results={self.pod.uid: result})
        assert found.failures[0][1].message == "the uploader says nothing of the output 'model'"

    def test_a_record_without_news_is_not_made_anew(self):
        first = look(single(), make_pod(main=running()))
        again = look(single(), make_pod(main=running()), ledger=first.ledger)
        assert again.ledger["a"] is first.ledger["a"]

    def test_a_result_that_did_not_fit_is_read_first(self):
        found = self.look(results={self.pod.uid: UploadResult(truncated=True)})
        assert found.actions == (ReadResult("a", self.pod.uid),)
        assert found.ledger["a"].phase is P.UPLOADING

    def test_outputs_that_cannot_be_committed_fail_the_job(self):
        result = UploadResult(error="must exist", reason="CommitRefused", refused=True)
        found = self.look(results={self.pod.uid: result})
        assert (found.ledger["a"].phase, found.ledger["a"].reason) == (P.FAILED, "CommitRefused")

    def test_a_commit_that_has_begun_is_brought_to_its_end(self):
        found = self.look(cancel=True)
        assert found.actions == (CommitOutputs("a", self.pod.uid, {"model": self.version}),)
        assert found.phase is RunPhase.RUNNING


class TestModel:
    workflow = (
        make_workflow().job("m").uses("create-model@v1", name="m", type="Custom")
        .takes("model", {"type": "dataset", "with": {"ref": "d"}}).makes("model-id", "string")
        .compile()
    )  # fmt: skip

    def test_the_operator_registers_it_without_a_pod(self):
        assert look(self.workflow).actions == (RegisterModel("m"),)

    def test_its_id_becomes_the_output(self):
        found = look(self.workflow, models={"m": "m-abc"})
        record = found.ledger["m"]
        assert record.phase is P.SUCCEEDED
        assert record.outputs == {"model-id": OutputRecord(value="m-abc")}
        assert (record.started_at, record.finished_at) == (NOW, NOW)

    def test_a_refusal_is_shown_and_tried_again(self):
        found = look(self.workflow, problems={"m": "forbidden"})
        assert found.actions == (RegisterModel("m"),)
        assert (found.ledger["m"].reason, found.ledger["m"].message) == (
            "ModelRefused",
            "forbidden",
        )

    def test_it_needs_no_machine(self):
        assert look(self.workflow, instance_types={}).actions == (RegisterModel("m"),)
