"""The group of a run: what is filled in, what stays, and what the author is told."""

import pytest

from gradient_operator.workflow.group import MAX_GROUP, Group, group_of
from tests.builders import make_workflow

INPUTS = {"data": {"type": "dataset", "with": {"ref": "digits"}}, "mode": {"type": "string"}}


def spec(concurrency, **more):
    definition = {"concurrency": concurrency, "inputs": INPUTS, **more.pop("definition", {})}
    return {"workflow": "train", "definition": definition, **more}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gpu", "gpu"),
        ("gpu-${{ workflow }}", "gpu-train"),
        ("${{workflow}}/${{ inputs.data }}", "train/digits"),
        ("${{ inputs.mode }}", "fast"),
        ("${{ github.ref }}", "${{ github.ref }}"),
        ("$workflow", "$workflow"),
    ],
)
def test_what_is_known_is_filled_in(text, name):
    assert group_of(spec(text, inputs={"mode": {"value": "fast"}})) == Group(name)


def test_a_given_value_wins_over_the_default():
    given = {"data": {"ref": "letters:gold"}}
    assert group_of(spec("${{ inputs.data }}", inputs=given)) == Group("letters:gold")


def test_a_default_of_on_manual_counts():
    on = {"manual": {"inputs": {"dry": {"type": "boolean"}, "size": {"default": 5}}}}
    found = group_of(spec("${{ inputs.dry }}-${{ inputs.size }}", definition={"on": on}))
    assert found == Group("false-5")


def test_the_long_form_says_whether_the_running_one_ends():
    declared = {"group": "gpu", "cancel-in-progress": True}
    assert group_of(spec(declared)) == Group("gpu", cancel_in_progress=True)


@pytest.mark.parametrize("value", [None, "", 1, [], {}, {"group": 3}, True])
def test_what_is_no_group_is_none(value):
    assert group_of(spec(value)) is None
    assert group_of({}) is None
    assert group_of({"definition": "x"}) is None


def test_a_long_name_is_bounded_and_stays_its_own():
    given = [{"mode": {"value": "x" * 5_000 + end}} for end in "ab"]
    first, second = (group_of(spec("${{ inputs.mode }}", inputs=each)) for each in given)
    assert len(first.name) == MAX_GROUP
    assert first != second


def test_an_input_that_is_none_is_refused():
    (found,) = make_workflow(concurrency="${{ inputs.sze }}", inputs=INPUTS).job("a").problems()
    assert (found.path, found.rule) == (("concurrency",), "unknown-input")


def test_an_expression_of_github_is_said_to_be_literal():
    builder = make_workflow(concurrency={"group": "${{ github.ref }}"}).job("a")
    (found,) = builder.problems()
    assert (found.path, found.rule) == (("concurrency", "group"), "literal-expression")
    assert found.severity == "warning"
