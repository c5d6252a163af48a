"""Checks and evaluates conditions with CEL; the one file that imports its library.

The library (C++) checks types, has no loops unless macros are used, bounds nesting at 32 and the
steps of a loop; `expression` lets no macro through. `docs/decisions/0007` tells why it was chosen.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from gradient_operator.workflow.expression import STATUS_FUNCTIONS, ExpressionProblem

_PLACE: Final = re.compile(r"^[A-Z_]+: (?:ERROR: <input>:-?\d+:-?\d+: )?")
_CODE: Final = re.compile(r"\s*\[[A-Z_]+\]$")
_OVERLOAD: Final = re.compile(
    r"no matching overload for '(?P<sign>[^']+)' applied to '\((?P<of>[^)]*)\)'"
)
_WORDS: Final = {
    "string": "text",
    "double": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "null": "null",
}
_KEPT: Final = 1_024
"""Programs kept: a run looks at the same conditions again and again."""


def check(program: str) -> None:
    """Check syntax and types.

    Raises:
        ExpressionProblem: it can never be evaluated, or is neither true nor false.
    """
    made, _ = _compiled(program)
    kind = made.return_type().name().lower()
    if kind not in {"bool", "dyn"}:
        what = _WORDS.get(kind, kind)
        raise ExpressionProblem(f"is {what}, not true or false: compare it, as == 'true'")


def evaluate(
    program: str,
    *,
    status: Mapping[str, bool],
    inputs: Mapping[str, str],
    matrix: Mapping[str, str],
    results: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, str]],
) -> bool:
    """The value of a checked program; `status` holds those of the status functions.

    Raises:
        ExpressionProblem: a value is not what the program needs, as text that is no number.
    """
    made, _ = _compiled(program)
    data = {
        **{name: status[name] for name in STATUS_FUNCTIONS},
        "inputs": inputs,
        "matrix": matrix,
        "results": results,
        "outputs": outputs,
    }
    try:
        value = made.eval(data=data).value()
    except RuntimeError as error:
        raise ExpressionProblem(_sentence(str(error))) from None
    if not isinstance(value, bool):
        raise ExpressionProblem(_sentence(str(value)))
    return value


@lru_cache(maxsize=_KEPT)
def _compiled(program: str) -> tuple[Any, Any]:
    environment = _environment()
    try:
        return environment.compile(program), environment
    except RuntimeError as error:
        raise ExpressionProblem(_sentence(str(error))) from None


@lru_cache(maxsize=1)
def _environment() -> Any:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # noqa: PLC0415

    kinds = cel.Type
    texts = kinds.Map(kinds.STRING, kinds.STRING)
    return cel.NewEnv(
        variables={
            **dict.fromkeys(STATUS_FUNCTIONS, kinds.BOOL),
            "inputs": texts,
            "matrix": texts,
            "results": texts,
            "outputs": kinds.Map(kinds.STRING, texts),
        }
    )


def _sentence(said: str) -> str:
    """What the library says, without its places, and with the remedy where it is known."""
    first = _CODE.sub("", _PLACE.sub("", said.split("\n", maxsplit=1)[0]))
    overload = _OVERLOAD.search(first)
    if overload is not None:
        return _about_types(overload["sign"].strip("_"), overload["of"].split(", "))
    if "recursion" in first:
        return "is nested too deeply: make it shorter"
    if "cannot convert string to" in first or "malformed" in first:
        return f"cannot be told: {first.replace('string', 'this text')}"
    return f"cannot be read: {first}"


def _about_types(sign: str, kinds: list[str]) -> str:
    words = " and ".join(_WORDS.get(kind, kind) for kind in kinds)
    numbers = {"double", "int"}
    text = f"applies {sign!r} to {words}"
    if set(kinds) == numbers:
        return f"{text}: write both with a point, as 1.0"
    if "string" in kinds and numbers & set(kinds):
        return f"{text}: make a number of the text, as double(needs.JOB.outputs.NAME) > 0.5"
    if "string" in kinds and "bool" in kinds:
        return f"{text}: write the value in quotes, as == 'true'"
    return text
