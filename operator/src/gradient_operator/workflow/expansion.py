"""Makes several jobs of one with a matrix: a name for each combination, its values in its text.

Text of jobs without a matrix is left as it is: there `${{ … }}` means nothing and stays.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from gradient_operator.api import workflow as api
from gradient_operator.api.base import MAX_JOBS, MAX_NAME
from gradient_operator.api.policy import MAX_MINUTES
from gradient_operator.workflow import matrix
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Combination, Compilation

_EXPRESSION: Final = re.compile(r"\$\{\{(?P<inner>.*?)\}\}", re.DOTALL)
_KEY: Final = re.compile(
    r"\s*matrix(?:\.(?P<dotted>[A-Za-z_][-A-Za-z0-9_]*)|\[\s*'(?P<quoted>[^']*)'\s*\])\s*\Z"
)
_OF_MATRIX: Final = re.compile(r"\bmatrix\s*[.\[]")
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9._]+")
_UNTOUCHED: Final = frozenset({"strategy", "if", "needs"})
"""Keys of a job whose text is not replaced: in `if` a value of the matrix is a name."""


def expand(state: Compilation) -> dict[str, tuple[Combination, ...]]:
    """The combinations of every job; one of a job without a matrix, or with a wrong one."""
    found = {name: _values(state, name, job) for name, job in state.file.jobs.items()}
    count = sum(len(values) or 1 for values in found.values())
    if count > MAX_JOBS:
        text = f"are {count} with all combinations of matrices, at most {MAX_JOBS} fit"
        state.error(("jobs",), text, "too-many-jobs")
        found = {name: [] for name in found}
    used = set(state.file.jobs)
    return {
        name: _combinations(state, name, values, used)
        if values
        else (Combination(name, name, "", {}, state.file.jobs[name]),)
        for name, values in found.items()
    }


def _values(state: Compilation, name: str, job: api.Job) -> list[matrix.Values]:
    if job.strategy is None or job.strategy.matrix is None:
        return []
    try:
        return matrix.combinations(job.strategy.matrix)
    except matrix.MatrixProblem as problem:
        path = ("jobs", name, "strategy", "matrix", *((problem.key,) if problem.key else ()))
        state.error(path, str(problem), "bad-matrix")
        return []


def _combinations(
    state: Compilation, base: str, found: list[matrix.Values], used: set[str]
) -> tuple[Combination, ...]:
    job = state.file.jobs[base]
    slugs = [_slug(values) for values in found]
    seen = Counter(slug.lower() for slug in slugs)
    template = job.model_dump(by_alias=True, exclude_unset=True)
    known = matrix.keys(found)
    combinations: list[Combination] = []
    for index, (values, slug) in enumerate(zip(found, slugs, strict=True), start=1):
        unique = slug and seen[slug.lower()] == 1
        name, short = _name(base, slug if unique else str(index), str(index), used)
        used.add(name)
        own = {**dict.fromkeys(known, ""), **values}
        data = _Replacement(state, base, own).of_job(template)
        state.origins[name] = base
        combinations.append(Combination(name, base, short, values, _job(state, base, data, job)))
    _check_env(state, base, known)
    return tuple(combinations)


def _slug(values: Mapping[str, str]) -> str:
    parts = [_NOT_IN_NAME.sub("-", value).strip("-._") for value in values.values()]
    return "-".join(part for part in parts if part)


def _name(base: str, slug: str, index: str, used: set[str]) -> tuple[str, str]:
    """The name of a combination, and what follows the base in it.

    Where the slug makes it too long, or a name that there is, the index takes its place.
    """
    shorts = [slug] if len(base) + 1 + len(slug) <= MAX_NAME else []
    shorts += [index, *(f"{index}-{again}" for again in range(2, len(used) + 3))]
    for short in shorts:
        name = f"{base[: MAX_NAME - len(short) - 1].rstrip('-._')}-{short}"
        if name not in used:
            return name, short
    raise AssertionError("one of more names than there are is free")


class _Replacement:
    """Puts the values of one combination into the text of its job."""

    def __init__(self, state: Compilation, base: str, values: Mapping[str, str]) -> None:
        self._state, self._base, self._values = state, base, values

    def of_job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: value if key in _UNTOUCHED else self._of(value, ("jobs", self._base, key))
            for key, value in job.items()
        }

    def _of(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self._text(value, path) if "${{" in value else value
        if isinstance(value, dict):
            return {key: self._of(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._of(inner, (*path, index)) for index, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: tuple[str | int, ...]) -> str:
        def replaced(found: re.Match[str]) -> str:
            key = _KEY.match(found["inner"])
            if key is None:
                if _OF_MATRIX.search(found["inner"]):
                    said = f"{found[0]!r} is too much: only ${{{{ matrix.KEY }}}} is replaced"
                    self._state.error(path, said, "bad-matrix")
                return found[0]
            name = key["dotted"] or key["quoted"]
            if name not in self._values:
                hint = nearest(name, self._values, "it has none")
                said = f"{name!r} is no key of the matrix; {hint}"
                self._state.error(path, said, "unknown-matrix-key")
            return self._values.get(name, "")

        return _EXPRESSION.sub(replaced, text)


def _job(state: Compilation, base: str, data: dict[str, Any], fallback: api.Job) -> api.Job:
    try:
        return api.Job.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        for detail in error.errors():
            path = ("jobs", base, *detail["loc"])
            text = f"with the values of the matrix: {detail['msg']}"
            state.error(path, text, "bad-matrix")
        return fallback


def env_name(key: str) -> str:
    """The variable that holds a value of the matrix."""
    return f"MATRIX_{key.upper().replace('-', '_')}"


def _check_env(state: Compilation, base: str, known: list[str]) -> None:
    names = Counter(env_name(key) for key in known)
    for name, count in names.items():
        if count > 1:
            same = " and ".join(repr(key) for key in known if env_name(key) == name)
            text = f"has keys {same}, which are one variable {name}: rename one"
            state.error(("jobs", base, "strategy", "matrix"), text, "bad-matrix")


def truth(state: Compilation, base: str, value: bool | str) -> bool:  # noqa: FBT001 - the value
    """`continue-on-error`, which may stand in the matrix."""
    if isinstance(value, bool):
        return value
    if value not in {"true", "false", ""}:
        text = f"must be true or false, or ${{{{ matrix.KEY }}}} of such values; it is {value!r}"
        state.error(("jobs", base, "continue-on-error"), text, "wrong-value")
    return value == "true"


def seconds(state: Compilation, base: str, value: float | str | None) -> float | None:
    """`timeout-minutes` as seconds; it may stand in the matrix."""
    if value is None or isinstance(value, float | int):
        return None if value is None else value * 60
    try:
        minutes = float(value)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= MAX_MINUTES:
        text = f"must be a number of minutes, or ${{{{ matrix.KEY }}}} of such; it is {value!r}"
        state.error(("jobs", base, "timeout-minutes"), text, "wrong-value")
        return None
    return minutes * 60
