"""Turns data into a `GradientFile`, and what pydantic says against it into sentences for people."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gradient_operator.api.workflow import GradientFile, WorkflowSpec
from gradient_operator.workflow.model import Problem, Refused

M = TypeVar("M", bound=BaseModel)

_SAYS = {
    "string_type": "must be a string: put it in quotes",
    "list_type": "must be a list",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "bool_type": "must be true or false",
    "missing": "is missing",
}


def parse_file(data: Mapping[str, Any]) -> GradientFile:
    """Read a Gradient file, or the definition in a run.

    Raises:
        Refused: with one problem per wrong field.
    """
    return _parse(GradientFile, data)


def parse_spec(data: Mapping[str, Any]) -> WorkflowSpec:
    """Read the spec of a `GradientWorkflow`: a Gradient file with our policy.

    Raises:
        Refused: with one problem per wrong field.
    """
    return _parse(WorkflowSpec, data)


def _parse(model: type[M], data: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = {_problem(model, details): None for details in error.errors()}
        raise Refused(tuple(problems)) from None


def _problem(model: type[BaseModel], details: ErrorDetails) -> Problem:
    path = _path(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(model, path), "unknown-key")
    return Problem(path, _SAYS.get(kind, details["msg"]), "wrong-value")


def _path(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Without the names of union members and the mark of a wrong key, which pydantic adds."""
    return tuple(
        part
        for part in location
        if part != "[key]" and not (isinstance(part, str) and ("[" in part or part == "JobInput"))
    )


def _unknown_key(model: type[BaseModel], path: tuple[int | str, ...]) -> str:
    known = _keys_at(model, path[:-1])
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known here are {', '.join(known)}"
    return f"is not a key of the format; {hint}"


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that the format has at a place, found by walking the JSON schema."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    node: dict[str, Any] = schema
    for part in path:
        node = _resolve(node, definitions)
        properties = node.get("properties", {})
        if isinstance(part, str) and part in properties:
            node = properties[part]
        else:
            named = next(iter(node.get("patternProperties", {}).values()), None)
            node = named or node.get("additionalProperties") or node.get("items") or {}
    return sorted(_resolve(node, definitions).get("properties", {}))


def _resolve(node: dict[str, Any], definitions: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Follow a reference, or the one alternative of a union that has keys."""
    for _ in range(8):
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in node:
            options = [option for option in node["anyOf"] if option.get("type") != "null"]
            keyed = [option for option in options if "$ref" in option or "properties" in option]
            node = (keyed or options)[0]
        else:
            break
    return node
