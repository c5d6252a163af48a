"""What the inputs of a job and of a workflow come to."""

import pytest

from gradient_operator.api.run import RunInput
from gradient_operator.workflow.model import (
    DatasetInput,
    OutputInput,
    SharedVolumeInput,
    StringInput,
)
from gradient_operator.workflow.references import DatasetReference
from tests.builders import make_workflow

DATASET = {"type": "dataset"}


def one(builder, name="a", **how):
    return builder.compile(**how).jobs[name]


class TestInputs:
    @pytest.mark.parametrize("key", ["ref", "id"])
    @pytest.mark.parametrize(
        ("text", "reference"),
        [
            ("cats", DatasetReference("cats")),
            (" cats ", DatasetReference("cats")),
            ("cats:latest", DatasetReference("cats")),
            ("cats:v1", DatasetReference("cats", version="v1")),
            ("team/cats", DatasetReference("cats", "team")),
            ("team/cats:v1", DatasetReference("cats", "team", "v1")),
        ],
    )
    def test_a_dataset_is_named_in_each_spelling(self, key, text, reference):
        builder = make_workflow().job("a").takes("d", DATASET | {"with": {key: text}})
        assert one(builder).inputs == (DatasetInput("d", reference),)

    @pytest.mark.parametrize("kind", ["dataset", "string", "volume"])
    def test_an_output_of_another_job_keeps_its_type(self, kind):
        builder = make_workflow().job("b").makes("o", kind, "cats" if kind == "dataset" else None)
        builder.job("a").needs("b").takes("i", "b.outputs.o")
        assert one(builder).inputs == (OutputInput("i", kind, "b", "o"),)

    def test_a_volume_without_source_is_shared_by_the_run(self):
        builder = make_workflow().job("a").takes("v", {"type": "volume"})
        assert one(builder).inputs == (SharedVolumeInput("v"),)

    def test_a_string_is_known(self):
        builder = make_workflow().job("a").takes("s", {"type": "string", "with": {"value": ""}})
        assert one(builder).inputs == (StringInput("s", ""),)


class TestWorkflowInputs:
    def builder(self, **declared):
        return make_workflow(inputs={"x": declared}).job("a").takes("i", "workflow.inputs.x")

    def test_the_default_counts_when_nothing_is_given(self):
        builder = self.builder(type="string", **{"with": {"value": "v"}})
        assert one(builder, given={}).inputs == (StringInput("i", "v"),)

    def test_a_given_string_replaces_the_default(self):
        builder = self.builder(type="string", **{"with": {"value": "v"}})
        job = one(builder, given={"x": RunInput(value="w")})
        assert job.inputs == (StringInput("i", "w"),)

    @pytest.mark.parametrize("given", [RunInput(ref="dogs:v2"), RunInput(id="dogs:v2")])
    def test_a_given_dataset_replaces_the_default(self, given):
        builder = self.builder(type="dataset", **{"with": {"ref": "cats"}})
        job = one(builder, given={"x": given})
        assert job.inputs == (DatasetInput("i", DatasetReference("dogs", version="v2")),)

    @pytest.mark.parametrize(("kind", "value"), [("string", "VALUE"), ("dataset", "REF")])
    def test_a_run_without_a_needed_value_is_refused(self, kind, value):
        problems = self.builder(type=kind).problems(given={})
        assert [str(problem) for problem in problems] == [
            f"inputs.x: has no default and no value was given: start the run with --input x={value}"
        ]

    @pytest.mark.parametrize("kind", ["string", "dataset"])
    def test_without_a_run_values_are_left_open(self, kind):
        assert self.builder(type=kind).problems() == []

    def test_an_optional_dataset_that_is_not_given_is_no_input(self):
        assert one(self.builder(type="dataset", optional=True), given={}).inputs == ()

    def test_an_optional_string_that_is_not_given_is_empty(self):
        job = one(self.builder(type="string", optional=True), given={})
        assert job.inputs == (StringInput("i", ""),)

    def test_a_value_for_an_unknown_input_is_refused(self):
        builder = self.builder(type="string", **{"with": {"value": "v"}})
        problems = builder.problems(given={"X": RunInput(value="w")})
        assert [str(problem) for problem in problems] == [
            "inputs.X: is not an input of the workflow; did you mean 'x'?"
        ]
