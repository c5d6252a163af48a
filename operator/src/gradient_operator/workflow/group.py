"""The group of a run: the text of `concurrency` with the run's own values filled in.

Works on the run's spec as the API server has it: it is asked for every run that is cached, valid or
not. What is not filled in stays as it is written.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Compilation

MAX_GROUP: Final = 256
"""Characters of a group's name; of a longer one the end is replaced by a hash."""
_EXPRESSION: Final = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_INPUT: Final = "inputs."


@dataclass(frozen=True, slots=True)
class Group:
    """Of the runs of a namespace that have the same name here one at a time is under way."""

    name: str
    cancel_in_progress: bool = False


def group_of(spec: Mapping[str, Any]) -> Group | None:
    """The group of a run, from its spec; None without a `concurrency` that can be read."""
    definition = _map(spec.get("definition"))
    declared = definition.get("concurrency")
    if isinstance(declared, Mapping):
        text, cancels = declared.get("group"), declared.get("cancel-in-progress") is True
    else:
        text, cancels = declared, False
    if not isinstance(text, str) or not text:
        return None
    name = _fill(text, lambda expression: _value(expression, spec, definition))
    if len(name) > MAX_GROUP:
        name = f"{name[: MAX_GROUP - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return Group(name, cancels)


def check(state: Compilation) -> None:
    """Note expressions in the group that mean nothing here; `inputs` hold those of `on.manual`."""
    declared = state.file.concurrency
    if declared is None:
        return
    path: tuple[str, ...] = ("concurrency",)
    text = declared if isinstance(declared, str) else declared.group
    if not isinstance(declared, str):
        path = ("concurrency", "group")
    known = state.file.inputs or {}
    for expression in _EXPRESSION.findall(text):
        name = expression.removeprefix(_INPUT)
        if expression.startswith(_INPUT) and name not in known:
            hint = nearest(name, known, "it has none")
            state.error(path, f"{name!r} is not an input of the workflow; {hint}", "unknown-input")
        elif not expression.startswith(_INPUT) and expression != "workflow":
            message = (
                f"takes ${{{{ {expression} }}}} as it stands: only ${{{{ workflow }}}} and "
                "${{ inputs.NAME }} are filled in"
            )
            state.warn(path, message, "literal-expression")


def _fill(text: str, value: Callable[[str], str | None]) -> str:
    def replace(match: re.Match[str]) -> str:
        found = value(match[1])
        return match[0] if found is None else found

    return _EXPRESSION.sub(replace, text)


def _value(expression: str, spec: Mapping[str, Any], definition: Mapping[str, Any]) -> str | None:
    if expression == "workflow":
        return str(spec.get("workflow", ""))
    if not expression.startswith(_INPUT):
        return None
    name = expression.removeprefix(_INPUT)
    given = _map(_map(spec.get("inputs")).get(name))
    declared = _map(_map(_map(definition.get("inputs")).get(name)).get("with"))
    for source in (given, declared):
        for key in ("value", "ref", "id"):
            if isinstance(source.get(key), str):
                return str(source[key])
    manual = _map(_map(_map(definition.get("on")).get("manual")).get("inputs"))
    item = _map(manual.get(name))
    default = item.get("default", False if item.get("type") == "boolean" else "")
    return str(default).lower() if isinstance(default, bool) else str(default)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
