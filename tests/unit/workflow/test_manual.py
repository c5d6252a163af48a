"""The inputs of `on.manual`: string inputs whose values are checked."""

import pytest

from gradient_operator.api.run import RunInput
from gradient_operator.workflow.model import StringInput
from tests.builders import make_workflow


def workflow(**inputs):
    on = {"manual": {"inputs": inputs}}
    builder = make_workflow(on=on).job("a")
    for name in inputs:
        builder.takes(name, f"workflow.inputs.{name}")
    return builder


def values(builder, **given):
    runs = {name: RunInput(value=value) for name, value in given.items()}
    inputs = builder.compile(given=runs).jobs["a"].inputs
    assert all(isinstance(item, StringInput) for item in inputs)
    return {item.name: item.value for item in inputs}


def sentences(builder, **given):
    runs = {name: RunInput(value=value) for name, value in given.items()}
    return [str(problem) for problem in builder.problems(given=runs)]


def test_a_job_takes_what_was_given():
    assert values(workflow(size={}), size="large") == {"size": "large"}


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({}, ""),
        ({"default": "small"}, "small"),
        ({"type": "number"}, ""),
        ({"type": "number", "default": 5}, "5"),
        ({"type": "number", "default": 0.5}, "0.5"),
        ({"type": "boolean"}, "false"),
        ({"type": "boolean", "default": True}, "true"),
        ({"type": "choice", "options": ["x", "y"]}, ""),
        ({"type": "choice", "options": ["x", "y"], "default": "y"}, "y"),
        ({"required": True, "default": "x"}, "x"),
    ],
)
def test_without_a_value_the_default_counts(declared, value):
    assert values(workflow(size=declared)) == {"size": value}


@pytest.mark.parametrize(
    ("declared", "given", "sentence"),
    [
        ({"type": "number"}, "many", "is 'many', but must be a number"),
        ({"type": "number"}, "1_000", "is '1_000', but must be a number"),
        ({"type": "number"}, "nan", "is 'nan', but must be a number"),
        ({"type": "boolean"}, "yes", "is 'yes', but must be true or false"),
        (
            {"type": "choice", "options": ["small", "large"]},
            "huge",
            "is 'huge', but must be one of small, large",
        ),
    ],
)
def test_a_value_of_another_type_is_refused(declared, given, sentence):
    assert sentences(workflow(size=declared), size=given) == [f"inputs.size: {sentence}"]


def test_a_required_value_is_asked_for_in_words():
    declared = {
        "type": "choice",
        "options": ["small", "large"],
        "required": True,
        "description": "How much to train",
    }
    (sentence,) = sentences(workflow(size=declared))
    assert sentence == (
        "on.manual.inputs.size: is asked for and was not given "
        "(one of small, large: How much to train): start the run with --input size=VALUE"
    )


def test_a_required_value_is_asked_for_even_if_no_job_takes_it():
    builder = make_workflow(on={"manual": {"inputs": {"size": {"required": True}}}}).job("a")
    assert len(sentences(builder)) == 1


def test_a_file_is_valid_without_its_values():
    assert workflow(size={"required": True, "type": "number"}).problems() == []


@pytest.mark.parametrize(
    ("declared", "place", "sentence"),
    [
        ({"type": "choice"}, "", "is a choice without `options`"),
        ({"options": ["x"]}, ".options", "is for inputs of type choice, but this one is a string"),
        ({"type": "number", "default": "x"}, ".default", "is 'x', but must be a number"),
        (
            {"type": "choice", "options": ["x"], "default": "y"},
            ".default",
            "is 'y', but must be one of x",
        ),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(declared, place, sentence):
    (found,) = workflow(size=declared).problems()
    assert str(found).startswith(f"on.manual.inputs.size{place}: {sentence}")


def test_a_name_must_not_stand_under_inputs_as_well():
    builder = workflow(size={})
    builder.top["inputs"] = {"size": {"type": "string", "with": {"value": "x"}}}
    (found,) = builder.problems()
    assert (found.rule, found.path) == ("duplicate-input", ("on", "manual", "inputs", "size"))


def test_a_reference_is_no_value():
    problems = workflow(size={}).problems(given={"size": RunInput(ref="digits")})
    assert str(problems[0]) == "inputs.size: is a text: give it as `value`"
