"""Checks the needs of a file of which parts have the wrong shape, so that one look says it all.

What is wrong is left out; only what cannot follow from that is said of the rest.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.model import Problem, Refused
from gradient_operator.workflow.validate import parse_spec

_INDEPENDENT: Final = frozenset({"unknown-need", "self-need", "cycle", "unknown-job"})
_OF_JOB: Final = len(("jobs", "the job"))
Path = tuple[str | int, ...]


def further_problems(spec: Mapping[str, Any], known: Sequence[Problem]) -> tuple[Problem, ...]:
    """What is wrong with the jobs and their needs, besides the shapes that are `known`."""
    rest = copy.deepcopy(dict(spec))
    # From behind, so that the places of items in front stay what they are.
    for path in sorted({problem.path for problem in known}, key=_order, reverse=True):
        _leave_out(rest, path)
    try:
        compile_file(parse_spec(rest))
    except Refused as refused:
        return tuple(each for each in refused.problems if each.rule in _INDEPENDENT)
    return ()


def _order(path: Path) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(part, int), part) for part in path)


def _leave_out(spec: dict[str, Any], path: Path) -> None:
    """Remove what a path names, or the block in which it is missing."""
    if not path:
        return
    parents: list[Any] = [spec]
    for part in path:
        child = _child(parents[-1], part)
        if child is None:
            break
        parents.append(child)
    depth = len(parents) - 1
    if path[0] == "jobs" and depth <= _OF_JOB:
        # A job that is not understood is still one that others may need.
        if depth == _OF_JOB:
            parents[1][path[1]] = {}
    elif depth:
        del parents[depth - 1][path[depth - 1]]


def _child(block: Any, part: str | int) -> Any:
    """The value below a key or in a list, in a box if it is nothing; None if there is none."""
    if isinstance(block, dict) and part in block:
        return block[part] if block[part] is not None else []
    if isinstance(block, list) and isinstance(part, int) and part < len(block):
        return block[part] if block[part] is not None else []
    return None
