"""Turns data into a `GradientFile`, and what pydantic says against it into sentences for people."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gradient_operator.api.run import RunSpec
from gradient_operator.api.workflow import GradientFile, WorkflowSpec
from gradient_operator.workflow import habits
from gradient_operator.workflow.model import MAX_PROBLEMS, Problem, Refused
from gradient_operator.workflow.nearest import nearest_key
from gradient_operator.workflow.wrong_values import wrong_value

M = TypeVar("M", bound=BaseModel)

_SCRIPT = "must be one text: write `script: |-` and the lines below it, indented"
_NAME = "is no name: it begins with a letter or digit and goes on with these, - and _"
_TEXT_FORMS = frozenset({"str", "constrained-str"})
_OF_JOB = {
    "if": "must be a condition of at most 1024 characters, as needs.JOB.result == 'success'",
    "timeout-minutes": "must be a number of minutes above 0",
    "continue-on-error": "must be true or false",
}
"""Keys of a job that may have two forms, and what they must be."""
_JOB_DEPTH = 3
"""`jobs`, the job, the key."""


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


def parse_run(data: Mapping[str, Any]) -> RunSpec:
    """Read the spec of a `GradientRun`.

    Raises:
        Refused: with one problem per wrong field.
    """
    return _parse(RunSpec, data)


def _parse(model: type[M], data: Mapping[str, Any]) -> M:
    try:
        # By the names of the format only: ours (`instance_type`) are no second spelling.
        return model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        meant = islice(filter(_is_meant, found), MAX_PROBLEMS)
        problems = {_problem(model, data, details): None for details in meant}
        raise Refused(tuple(problems), max(0, len(found) - MAX_PROBLEMS)) from None


def _is_meant(details: ErrorDetails) -> bool:
    """Of a value that may have two forms only the complaint about the form that it has counts."""
    place, form = _split(details["loc"])
    if not form or _is_two_formed(place) or place != details["loc"][:-1]:
        return True
    keyed = isinstance(details["input"], dict | list)
    return (form in _TEXT_FORMS) is not keyed


def _problem(model: type[BaseModel], data: Mapping[str, Any], details: ErrorDetails) -> Problem:
    location = details["loc"]
    path, _ = _split(location)
    kind = details["type"]
    misplaced = habits.misplaced_job_key(path)
    if misplaced is not None and not _looks_like_job(data.get("jobs", {}).get(path[1])):
        return Problem(path[:2], misplaced.sentence, misplaced.rule)
    if _is_two_formed(path):
        return Problem(path, _OF_JOB[str(path[-1])], "wrong-value")
    if kind == "extra_forbidden":
        if len(path) == 1 and _looks_like_job(details["input"]):
            return Problem(path, "is a job: indent it below `jobs`", "misplaced-key")
        habit = habits.habit(path)
        if habit is not None:
            return Problem(path, habit.sentence, habit.rule)
        return Problem(path, _unknown_key(model, path), "unknown-key")
    if path == ("on",) and (trigger := habits.trigger(details["input"])) is not None:
        return Problem(path, trigger.sentence, trigger.rule)
    if path[-2:] == ("with", "script") and isinstance(details["input"], list):
        return Problem(path, _SCRIPT, "script-list")
    if location[-1:] == ("[key]",) and kind == "string_pattern_mismatch":
        return Problem(path, _NAME, "bad-name")
    return Problem(path, wrong_value(details), "wrong-value")


def _looks_like_job(value: Any) -> bool:
    return isinstance(value, dict) and not habits.JOB_KEYS.isdisjoint(value)


def _split(location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], str]:
    """The path in the file, and the form that pydantic took a value with two forms for."""
    path: list[int | str] = []
    form = ""
    for part in location[:-1] if location[-1:] == ("[key]",) else location:
        if _has_forms(path) and not form:
            form = str(part)
        else:
            path.append(part)
    return tuple(path), form


def _has_forms(path: list[int | str]) -> bool:
    """Whether the value at this place may have two forms, as a job's input and a command."""
    if path in (["concurrency"], ["definition", "concurrency"]):
        return True
    of_input = path[-4:-3] == ["jobs"] and path[-2:-1] == ["inputs"]
    return of_input or _is_two_formed(path) or path[-2:] == ["with", "command"]


def _is_two_formed(path: Sequence[int | str]) -> bool:
    return len(path) >= _JOB_DEPTH and path[-_JOB_DEPTH] == "jobs" and path[-1] in _OF_JOB


def _unknown_key(model: type[BaseModel], path: tuple[int | str, ...]) -> str:
    known = _keys_at(model, path[:-1])
    near = nearest_key(str(path[-1]), known)
    hint = f"did you mean {near!r}?" if near else f"known here are {', '.join(known)}"
    return f"is not a key of the format; {hint}"


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys that the format has at a place, found by walking the JSON schema."""
    schema = _schema(model)
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


@lru_cache(maxsize=8)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


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
