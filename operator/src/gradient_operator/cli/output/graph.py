"""The graph of a run as lines of text: a tree where it is one, else the jobs with their needs.

A job stands below the need that comes last; its other needs are named beside it. Graphs that are
deeper than a terminal is wide are written as a plain list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gradient_operator.cli.output.run_view import JobView

MAX_TREE_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One job with the branch that leads to it, and the needs that the branch does not show."""

    branch: str
    job: JobView
    after: tuple[str, ...]


def lines(jobs: Sequence[JobView]) -> list[Line]:
    """The lines for jobs that stand in an order in which each comes after its needs."""
    depths: dict[str, int] = {}
    parents: dict[str, str | None] = {}
    for job in jobs:
        known = [need for need in job.needs if need in depths]
        parent = max(known, key=lambda need: depths[need], default=None)
        parents[job.name] = parent
        depths[job.name] = 0 if parent is None else depths[parent] + 1
    if max(depths.values(), default=0) > MAX_TREE_DEPTH:
        return [Line("", job, job.needs) for job in jobs]
    children: dict[str | None, list[JobView]] = {}
    for job in jobs:
        children.setdefault(parents[job.name], []).append(job)
    found: list[Line] = []
    for root in children.get(None, ()):
        found.append(Line("", root, ()))
        _descend(root.name, "", children, found)
    above = _Above(jobs)
    return [Line(line.branch, line.job, above.others(line.job, parents)) for line in found]


def _descend(
    name: str, indent: str, children: dict[str | None, list[JobView]], found: list[Line]
) -> None:
    below = children.get(name, [])
    for job in below:
        last = job is below[-1]
        found.append(Line(indent + ("└─ " if last else "├─ "), job, ()))
        _descend(job.name, indent + ("   " if last else "│  "), children, found)


class _Above:
    """Which jobs come before which, directly or through others."""

    def __init__(self, jobs: Sequence[JobView]) -> None:
        self._above: dict[str, frozenset[str]] = {}
        for job in jobs:
            near = [need for need in job.needs if need in self._above]
            self._above[job.name] = frozenset(near).union(*(self._above[need] for need in near))

    def others(self, job: JobView, parents: Mapping[str, str | None]) -> tuple[str, ...]:
        """The needs that do not follow from the place in the tree."""
        parent = parents[job.name]
        if parent is None:
            return ()
        return tuple(
            need for need in job.needs if need != parent and need not in self._above[parent]
        )
