"""References: every spelling of the format, and the names that objects get from them."""

import pytest

from gradient_operator.workflow.references import (
    DatasetReference,
    JobOutputReference,
    ReferenceProblem,
    WorkflowInputReference,
    is_version_id,
    object_name,
    parse_dataset,
    parse_slot,
    version_id,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("workflow.inputs.data", WorkflowInputReference("data")),
        ("CloneRepo.outputs.repo", JobOutputReference("CloneRepo", "repo")),
        ("a-b_c.outputs.d-e_f", JobOutputReference("a-b_c", "d-e_f")),
        ("workflow.outputs.x", JobOutputReference("workflow", "x")),
    ],
)
def test_an_input_refers_to_an_output_or_to_the_workflow(text, meaning):
    assert parse_slot(text) == meaning


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.outputs", "a.outputs.", ".outputs.b", "a.outputs.b.c", "a.inputs.b", "a outputs b",
     "workflow.inputs.a.b", "${{ a.outputs.b }}", "a.outputs.b\n"],
)  # fmt: skip
def test_anything_else_is_no_reference(text):
    with pytest.raises(ReferenceProblem, match=r"write JOB\.outputs\.NAME"):
        parse_slot(text)


@pytest.mark.parametrize(
    "text", ["", ":", "cats:", ":v1", "/cats", "a/b/c", "cats dogs", "-cats", "cats:v 1", "é",
             "../cats", "cats\n"]
)  # fmt: skip
def test_what_is_no_dataset_is_refused(text):
    with pytest.raises(ReferenceProblem, match="write NAME, NAME:VERSION or NAMESPACE/NAME"):
        parse_dataset(text)


@pytest.mark.parametrize("text", ["cats", "cats:v1", "team/cats", "team/cats:v1"])
def test_a_dataset_reference_reads_as_it_was_written(text):
    assert str(parse_dataset(text)) == text


def test_the_latest_version_is_the_same_as_none():
    assert parse_dataset("cats:latest") == DatasetReference("cats")


def test_a_version_is_named_by_sixty_bits_of_its_digest():
    assert version_id("00" * 32) == "aaaaaaaaaaaa"
    assert is_version_id(version_id("ab" * 32))


@pytest.mark.parametrize("text", ["v1", "aaaaaaaaaaa", "aaaaaaaaaaaa1", "AAAAAAAAAAAA"])
def test_a_tag_is_no_version(text):
    assert not is_version_id(text)


@pytest.mark.parametrize("name", ["cats", "cats-2", "cats.v2", "0"])
def test_a_valid_name_stays_as_it_is(name):
    assert object_name(name) == name


def test_two_spellings_never_meet_in_one_object():
    names = [
        "Cats",
        "cats",
        "CATS",
        "cats_",
        "cats-",
        "ca_ts",
        "ca-ts",
        "cats.",
        "c.-ats",
        "c..ats",
    ]
    assert len({object_name(name) for name in names}) == len(names)


def test_a_long_name_is_cut_and_stays_distinct():
    first, second = object_name("x" * 100, limit=63), object_name("x" * 101, limit=63)
    assert len(first) == len(second) == 63
    assert first != second
