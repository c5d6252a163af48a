"""Volumes and strings that nobody takes are warned of; datasets are results."""

from gradient_operator.workflow.unused import unused_outputs
from gradient_operator.workflow.validate import parse_file
from tests.builders import make_workflow


def unused(builder):
    return [problem.path[1::2] for problem in unused_outputs(parse_file(builder.data()))]


def test_what_no_job_takes_is_warned_of():
    builder = make_workflow().job("a").makes("v", "volume").makes("s", "string")
    assert unused(builder.makes("d", "dataset", "cats")) == [("a", "v"), ("a", "s")]


def test_what_a_job_takes_is_used():
    builder = make_workflow().job("a").makes("v", "volume")
    assert unused(builder.job("b").takes("x", " a.outputs.v ")) == []


def test_what_a_condition_asks_for_is_used():
    builder = make_workflow().job("a").makes("s", "string")
    builder.job("b", **{"if": "needs.a.outputs.s == 'go'"}).needs("a")
    assert unused(builder) == []


def test_the_id_of_a_model_is_there_to_be_seen():
    builder = make_workflow().job("a").uses("create-model@v1", name="m", type="Custom")
    assert unused(builder.makes("model-id", "string")) == []
