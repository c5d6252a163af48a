"""The combinations of matrices in a run, for its tables: read with the code of the compiler.

A definition that this version cannot read has none: its jobs are shown as the status names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """One job that is run: its definition, and the job of the file and values that it is of."""

    job: Mapping[str, Any]
    base: str = ""
    values: Mapping[str, str] | None = None


def shown_jobs(definition: Mapping[str, Any]) -> dict[str, Shown]:
    """All jobs of a definition by name, with every combination of a matrix in its place."""
    jobs = {name: job or {} for name, job in (definition.get("jobs") or {}).items()}
    if not any("strategy" in job for job in jobs.values()):
        return {name: Shown(job) for name, job in jobs.items()}
    from gradient_operator.workflow.expansion import expand
    from gradient_operator.workflow.model import Refused
    from gradient_operator.workflow.state import Compilation, Event
    from gradient_operator.workflow.validate import parse_file

    try:
        state = Compilation(file=parse_file(definition), given=None, event=Event())
    except Refused:
        return {name: Shown(job) for name, job in jobs.items()}
    return {
        each.name: Shown(
            each.job.model_dump(by_alias=True, exclude_unset=True), each.base, each.values
        )
        if each.short
        else Shown(jobs[each.name])
        for made in expand(state).values()
        for each in made
    }
