from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from gradient_operator.api.base import Model, Name
from gradient_operator.api.structural import NotStructuralError, structural_schema

OPEN = {"x-kubernetes-preserve-unknown-fields": True}


class Part(Model):
    """A part
    of something."""

    size: int = Field(default=3, ge=1)
    """In metres."""
    mode: Literal["one"] = "one"
    kinds: Literal["a", "b"] | None = None


class Special(Part):
    """A part with more."""

    colour: str = ""
    """As people say it."""


class Whole(Model):
    """Everything."""

    part: Part | None = None
    special: Special
    names: Annotated[dict[Name, Part], Field(max_length=4)]
    any: Annotated[str | list[str], Field(json_schema_extra=OPEN)] = ""
    listed: Annotated[list[Part], Field(max_length=2)]


@pytest.fixture(scope="module")
def schema():
    return structural_schema(Whole)


def test_references_and_null_are_resolved(schema):
    part = schema["properties"]["part"]
    assert part["type"] == "object"
    assert part["properties"]["size"]["minimum"] == 1
    assert part["properties"]["kinds"] == {"type": "string", "enum": ["a", "b"]}
    assert schema["required"] == ["special", "names", "listed"]


def test_one_constant_becomes_an_enumeration(schema):
    assert schema["properties"]["part"]["properties"]["mode"]["enum"] == ["one"]


def test_maps_keep_their_bound_and_values(schema):
    names = schema["properties"]["names"]
    assert names["maxProperties"] == 4
    assert names["additionalProperties"]["properties"]["size"]["type"] == "integer"


def test_a_union_is_left_open(schema):
    assert schema["properties"]["any"] == OPEN


def test_descriptions_come_from_docstrings_and_name_the_default(schema):
    assert schema["description"] == "Everything."
    part = schema["properties"]["part"]
    assert part["description"] == "A part of something."
    assert part["properties"]["size"]["description"] == "In metres. Default: 3."


def test_inherited_fields_keep_their_docstrings(schema):
    special = schema["properties"]["special"]["properties"]
    assert special["size"]["description"] == "In metres. Default: 3."
    assert special["colour"]["description"] == "As people say it."


def test_the_decorator_sees_each_model_with_its_schema():
    seen: dict[str, Any] = {}
    structural_schema(Whole, decorate=lambda model, schema: seen.update({model.__name__: schema}))
    assert set(seen) == {"Whole", "Part", "Special"}
    assert "size" in seen["Special"]["properties"]


def test_a_union_that_is_not_open_is_refused():
    class Torn(Model):
        value: int | str

    with pytest.raises(NotStructuralError, match=r"Torn\.value: a union needs"):
        structural_schema(Torn)


def test_a_field_without_a_type_is_refused():
    class Vague(Model):
        value: Any

    with pytest.raises(NotStructuralError, match=r"Vague\.value: has no type"):
        structural_schema(Vague)


def test_a_keyword_that_the_api_server_would_misread_is_refused():
    class Above(Model):
        value: int = Field(gt=0)

    with pytest.raises(NotStructuralError, match=r"Above\.value: .*exclusiveMinimum"):
        structural_schema(Above)


def test_an_open_model_keeps_unknown_keys():
    class Loose(Model):
        model_config = ConfigDict(json_schema_extra=OPEN)
        value: int = 0

    assert structural_schema(Loose)["x-kubernetes-preserve-unknown-fields"] is True
