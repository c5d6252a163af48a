"""Warns of machine types that the hosted service did not have: most are misspelt.

A cluster may have types of its own, so that this is for files, not for the operator, which knows
its cluster's.
"""

from collections.abc import Iterator

from gradient_operator.api.machines import NAMES, spelling
from gradient_operator.api.workflow import GradientFile, Resources
from gradient_operator.workflow.model import Problem
from gradient_operator.workflow.nearest import nearest_key

_EXPRESSION = "${{"
_SPELLINGS = frozenset(map(spelling, NAMES))


def unknown_machines(file: GradientFile) -> Iterator[Problem]:
    """One warning for each place that names an unknown machine type."""
    if file.defaults is not None:
        yield from _check(("defaults",), file.defaults.resources)
    for name, job in file.jobs.items():
        yield from _check(("jobs", name), job.resources)


def _check(place: tuple[str, ...], resources: Resources | None) -> Iterator[Problem]:
    name = resources.instance_type if resources is not None else None
    if name is None or spelling(name) in _SPELLINGS or _EXPRESSION in name:
        return
    near = nearest_key(name, NAMES)
    hint = f"; did you mean {near!r}?" if near else "; a cluster may have types of its own"
    text = f"{name!r} is no machine type of the hosted service{hint}"
    yield Problem((*place, "resources", "instance-type"), text, "unknown-machine", "warning")
