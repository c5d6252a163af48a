"""Reads the text of an `if`: splits it into tokens, resolves its names, and writes it as CEL.

CEL reads `train-model` as a subtraction. Here a name after a dot may hold minus signs, as people
write them, so that every dotted path becomes an index: `needs.a-b.result` is `results["a-b"]`.
What CEL has and a condition must not (loops, maps) ends here, so that its cost is bounded by its
length.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from gradient_operator.workflow.nearest import nearest

MAX_LENGTH: Final = 1_024
MAX_DEPTH: Final = 24
"""Brackets within brackets; the library gives up at 32."""
STATUS_FUNCTIONS: Final = ("success", "failure", "always", "cancelled")
CONVERSIONS: Final = ("double", "int", "string", "bool", "size")
METHODS: Final = ("contains", "startsWith", "endsWith", "matches", "size")
ROOTS: Final = ("inputs", "needs", "matrix")
_LITERALS: Final = frozenset({"true", "false", "null", "in"})
_ELSEWHERE: Final = frozenset(
    {"github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "context"}
)
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[<>!+\-*/%()\[\],.?:])""",
    re.VERBOSE,
)
_PART: Final = re.compile(r"\s*\.\s*(?P<name>[A-Za-z0-9_][-A-Za-z0-9_]*+)(?!\s*\()")
_INDEX: Final = re.compile(r"""\s*\[\s*(?P<quote>['"])(?P<name>[^'"\\]*)(?P=quote)\s*\]""")


class ExpressionProblem(ValueError):
    """The text is no condition; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition whose names were resolved; `program` is CEL."""

    program: str
    asks: frozenset[str]


Resolve = Callable[[str, tuple[str, ...]], str]
"""From a root and the names behind it to CEL; raises `ExpressionProblem` for an unknown one."""


def unwrap(text: str) -> str:
    """The condition without the `${{ }}` that may stand around it.

    Raises:
        ExpressionProblem: it stands around a part only, which makes the rest plain text on GitHub.
    """
    bare = text.strip()
    if bare.startswith("${{") and bare.endswith("}}") and bare.count("${{") == 1:
        return bare[3:-2].strip()
    if "${{" in bare:
        raise ExpressionProblem(
            "has ${{ }} around a part of it: put it around all, or leave it out"
        )
    return bare


def read(text: str, resolve: Resolve) -> Expression:
    """Translate a condition without `${{ }}`.

    Raises:
        ExpressionProblem: it is too long, or holds a name, function or sign that it cannot have.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionProblem(f"has {len(text)} characters, at most {MAX_LENGTH} fit")
    if not text:
        raise ExpressionProblem("is empty: write a condition, or leave `if` out")
    reader = _Reader(text, resolve)
    return Expression(" ".join(reader.tokens()), frozenset(reader.asks))


@dataclass(slots=True)
class _Reader:
    text: str
    resolve: Resolve
    place: int = 0
    depth: int = 0
    asks: set[str] = field(default_factory=set)
    before: str = ""

    def tokens(self) -> Iterator[str]:
        while self.place < len(self.text):
            found = _TOKEN.match(self.text, self.place)
            if found is None:
                raise ExpressionProblem(self._strange())
            self.place = found.end()
            if found.lastgroup == "space":
                continue
            written = self._written(found.lastgroup or "", found[0])
            self.before = found[0]
            yield written

    def _written(self, kind: str, token: str) -> str:
        if kind == "name":
            return self._method(token) if self.before == "." else self._name(token)
        if kind == "sign":
            self._count(token)
        return token

    def _count(self, sign: str) -> None:
        self.depth += (sign in "([") - (sign in ")]")
        if self.depth > MAX_DEPTH:
            raise ExpressionProblem(f"has more than {MAX_DEPTH} brackets within each other")

    def _name(self, name: str) -> str:
        if self._calls():
            return self._function(name)
        if name in ROOTS:
            return self._path(name)
        if name in _LITERALS:
            return name
        if name in STATUS_FUNCTIONS:
            raise ExpressionProblem(f"{name} is a function: write {name}()")
        if name == "workflow" or name in _ELSEWHERE:
            raise ExpressionProblem(
                f"{name!r} means nothing here: there are inputs.NAME, needs.JOB.result, "
                "needs.JOB.outputs.NAME and matrix.KEY"
            )
        hint = nearest(name, [*ROOTS, *STATUS_FUNCTIONS], "")
        raise ExpressionProblem(f"{name!r} is no name; {hint} (text stands in quotes: '{name}')")

    def _calls(self) -> bool:
        return self.text[self.place :].lstrip().startswith("(")

    def _function(self, name: str) -> str:
        if name in STATUS_FUNCTIONS:
            call = re.compile(r"\s*\(\s*\)").match(self.text, self.place)
            if call is None:
                raise ExpressionProblem(f"{name}() takes nothing between its brackets")
            self.place = call.end()
            self.asks.add(name)
            return name
        if name in CONVERSIONS:
            return name
        if name in METHODS:
            raise ExpressionProblem(f"{name} stands behind a text: TEXT.{name}(…)")
        hint = nearest(name, [*STATUS_FUNCTIONS, *CONVERSIONS, *METHODS], "")
        raise ExpressionProblem(f"{name!r} is no function; {hint}")

    def _method(self, name: str) -> str:
        if not self._calls():
            raise ExpressionProblem(f".{name} cannot stand here: names begin with {_list(ROOTS)}")
        if name not in METHODS:
            hint = nearest(name, METHODS, "")
            raise ExpressionProblem(f"{name!r} is no function of text; {hint}")
        return name

    def _path(self, root: str) -> str:
        names: list[str] = []
        while True:
            found = _PART.match(self.text, self.place) or _INDEX.match(self.text, self.place)
            if found is None:
                break
            names.append(found["name"])
            self.place = found.end()
        return self.resolve(root, tuple(names))

    def _strange(self) -> str:
        sign = self.text[self.place]
        if sign in "'\"":
            return "has a quote that is never closed"
        hints = {
            "=": "a comparison is written ==",
            "&": "and is written &&",
            "|": "or is written ||",
            "$": "write the name alone",
            "{": "maps are not known here",
        }
        hint = hints.get(sign, "it stands in quotes, if it is meant as text")
        return f"{sign!r} cannot stand here: {hint}"


def _list(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def quoted(text: str) -> str:
    """The text as a CEL string."""
    return json.dumps(text)
