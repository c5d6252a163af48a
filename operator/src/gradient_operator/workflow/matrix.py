"""The combinations of `strategy.matrix`, as GitHub documents them: product, `exclude`, `include`.

Only values come in and go out; that a combination is a job of its own is `expansion`'s business.
Rules: docs.github.com, "Running variations of jobs in a workflow".
"""

import itertools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from gradient_operator.api import workflow as api
from gradient_operator.workflow.nearest import nearest

MAX_COMBINATIONS: Final = 256
"""Of one job, as on GitHub."""
_SMALLEST_PLAIN: Final = 1e-6
_LARGEST_PLAIN: Final = 1e21
"""Numbers between are written without an exponent, as JSON writers and GitHub do."""

Values = dict[str, str]
"""One combination: the text of each key, in the order of the alphabet."""


class MatrixProblem(ValueError):
    """The matrix makes no combinations; `key` is the part of it to look at."""

    def __init__(self, message: str, key: str = "") -> None:
        self.key = key
        super().__init__(message)


def combinations(matrix: api.Matrix) -> list[Values]:
    """All combinations, the last key changing fastest; keys in the order of the alphabet.

    The API server keeps no order of keys: the one of the file would be lost on the way to a run.

    Raises:
        MatrixProblem: a list is empty or of the wrong form, a key is not known, or they are none,
            or more than `MAX_COMBINATIONS`.
    """
    axes = {
        key: _axis(key, values) for key, values in sorted(matrix.items()) if key not in _SPECIAL
    }
    excluded = _objects(matrix, "exclude")
    for item in excluded:
        _check_known(item, axes)
    size = 1
    for values in axes.values():
        size *= len(values)
        if size > MAX_COMBINATIONS * MAX_COMBINATIONS:
            raise MatrixProblem(_too_many(size))
    product = (
        [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
        if axes
        else []
    )
    kept = [row for row in product if not any(_matches(row, item, item) for item in excluded)]
    found = _included(kept, axes, _objects(matrix, "include"))
    if not found:
        raise MatrixProblem("makes no combination: give it values, or leave strategy out")
    if len(found) > MAX_COMBINATIONS:
        raise MatrixProblem(_too_many(len(found)))
    return found


_SPECIAL: Final = ("include", "exclude")


def keys(found: Iterable[Values]) -> list[str]:
    """All keys that some combination has."""
    return list(dict.fromkeys(key for values in found for key in values))


def _axis(key: str, values: api.MatrixValues) -> list[str]:
    if not values:
        raise MatrixProblem("holds no value: give it at least one", key)
    return list(dict.fromkeys(_text_of(value, key) for value in values))


def _text_of(value: object, key: str) -> str:
    try:
        return text_of(value)
    except MatrixProblem as problem:
        raise MatrixProblem(str(problem), key) from None


def _objects(matrix: api.Matrix, key: str) -> list[Values]:
    found: list[Values] = []
    for item in matrix.get(key, ()):
        if not isinstance(item, dict) or not item:
            raise MatrixProblem("must hold maps, as `- {key: value}`", key)
        found.append({str(name): _text_of(value, key) for name, value in item.items()})
    return found


def _check_known(item: Values, axes: Mapping[str, list[str]]) -> None:
    for name in item:
        if name not in axes:
            hint = nearest(name, axes, "the matrix has none")
            raise MatrixProblem(f"names {name!r}, which is no key of the matrix; {hint}", "exclude")


def _matches(row: Values, item: Values, keys_of: Iterable[str]) -> bool:
    return all(row[key] == item[key] for key in keys_of)


def _included(kept: list[Values], axes: Mapping[str, object], items: list[Values]) -> list[Values]:
    """Add each item to every combination whose own values it does not change, else as a new one.

    Only what the product made is added to; what an item before has added may be changed again.
    """
    found = [dict(row) for row in kept]
    new: list[Values] = []
    for item in items:
        shared = [key for key in item if key in axes]
        fitting = [row for row in found if _matches(row, item, shared)]
        for row in fitting:
            row.update(item)
        if not fitting:
            new.append(dict(item))
    return [dict(sorted(row.items())) for row in (*found, *new)]


def _too_many(count: int) -> str:
    return f"makes {count} combinations, at most {MAX_COMBINATIONS} fit: split the job"


def text_of(value: object) -> str:
    """A value as it stands in the job's text: `true`, `0.00001`, nothing for null.

    Raises:
        MatrixProblem: it is a list or a map.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < _LARGEST_PLAIN:
            return str(int(value))
        if _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
            return format(Decimal(repr(value)), "f")
    if not isinstance(value, str | int | float):
        raise MatrixProblem("must hold plain values; what belongs together goes under include")
    return str(value)
