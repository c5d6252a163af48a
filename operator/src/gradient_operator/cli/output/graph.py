"""The graph of a run as lines of text: a tree where it is one, else the jobs with their needs.

A job stands below the need that comes last; its other needs are named beside it. Graphs that are
deeper than a terminal is wide are written as a plain list.
"""

from collections.abc import Sequence
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
        found.append(Line("", root, _others(root, None)))
        _descend(root.name, "", children, found)
    return found


def _descend(
    name: str, indent: str, children: dict[str | None, list[JobView]], found: list[Line]
) -> None:
    below = children.get(name, [])
    for job in below:
        last = job is below[-1]
        found.append(Line(indent + ("└─ " if last else "├─ "), job, _others(job, name)))
        _descend(job.name, indent + ("   " if last else "│  "), children, found)


def _others(job: JobView, parent: str | None) -> tuple[str, ...]:
    return tuple(need for need in job.needs if need != parent)
