"""The graph of a run as lines of text: a tree where it is one, else the jobs with their needs.

A job stands below the need that comes last; its other needs are named beside it. The combinations
of a matrix stand below a line for all of them. Graphs that are deeper than a terminal is wide are
written as a plain list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gradient_operator.cli.output.run_view import JobView
from gradient_operator.cli.output.text import ACTIVE, FINAL

MAX_TREE_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One job with the branch that leads to it, and the needs that the branch does not show."""

    branch: str
    job: JobView
    after: tuple[str, ...]


def lines(jobs: Sequence[JobView]) -> list[Line]:
    """The lines for jobs that stand in an order in which each comes after its needs."""
    members: dict[str, list[JobView]] = {}
    for job in jobs:
        if job.base:
            members.setdefault(job.base, []).append(job)
    whole: dict[str, JobView] = {}
    for job in jobs:
        whole.setdefault(job.base or job.name, _gathered(members[job.base]) if job.base else job)
    return _lines(list(whole.values()), members)


def _gathered(combinations: Sequence[JobView]) -> JobView:
    """One line for all combinations of a matrix."""
    first = combinations[0]
    phases = [job.phase for job in combinations]
    well = phases.count("Succeeded")
    return JobView(
        first.base,
        needs=first.needs,
        instance_type=first.instance_type,
        phase=_of_all(phases),
        message=f"{well} of {len(phases)} combinations succeeded",
        started_at=min((job.started_at for job in combinations if job.started_at), default=None),
        finished_at=max((job.finished_at or 0 for job in combinations), default=0)
        if all(phase in FINAL for phase in phases)
        else None,
    )


def _of_all(phases: Sequence[str]) -> str:
    """The phase of a whole matrix: what goes on, else the worst that has happened."""
    if any(phase in ACTIVE for phase in phases):
        return "Running"
    for phase in ("Pending", "Failed", "Cancelled", "Succeeded", "Omitted"):
        if phase in phases:
            return phase
    return phases[0]


def _lines(jobs: Sequence[JobView], members: Mapping[str, Sequence[JobView]]) -> list[Line]:
    depths: dict[str, int] = {}
    parents: dict[str, str | None] = {}
    for job in jobs:
        known = [need for need in job.needs if need in depths]
        parent = max(known, key=lambda need: depths[need], default=None)
        parents[job.name] = parent
        depths[job.name] = 0 if parent is None else depths[parent] + 1
    if max(depths.values(), default=0) > MAX_TREE_DEPTH:
        return [
            line
            for job in jobs
            for line in (
                Line("", job, job.needs),
                *(Line("   ", each, ()) for each in members.get(job.name, ())),
            )
        ]
    children: dict[str | None, list[JobView]] = {}
    for job in jobs:
        children.setdefault(parents[job.name], []).append(job)
    for name, combinations in members.items():
        children[name] = [*combinations, *children.get(name, ())]
    found: list[Line] = []
    for root in children.get(None, ()):
        found.append(Line("", root, ()))
        _descend(root.name, "", children, found)
    above = _Above(jobs)
    return [
        line if line.job.base else Line(line.branch, line.job, above.others(line.job, parents))
        for line in found
    ]


def _descend(
    name: str, indent: str, children: dict[str | None, list[JobView]], found: list[Line]
) -> None:
    below = children.get(name, [])
    for job in below:
        last = job is below[-1]
        found.append(Line(indent + ("└─ " if last else "├─ "), job, ()))
        if not job.base:
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
