"""Which of a run's ready jobs start now: `policy.maxParallel`, and the places of larger limits.

Decided last in a plan, when it is known what has ended, and in the order of the file. How many
places there are outside the run is not known here: a plan says what it wants, and the next one is
told what it was given.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gradient_operator.engine.model import JobPhase, JobRecord, PodRecord
from gradient_operator.engine.step import Step

RUN_LIMIT: Final = "RunLimit"
NAMESPACE_LIMIT: Final = "NamespaceLimit"
MACHINE_LIMIT: Final = "MachineTypeLimit"
_BEHIND: Final = None
"""What the further jobs of a run say that wait for the same: the reason is enough for them."""


def under_way(ledger: Mapping[str, JobRecord], pods: Mapping[tuple[str, int], PodRecord]) -> int:
    """How many jobs of a run have an attempt under way."""
    return sum(
        not record.phase.final
        and (record.phase is not JobPhase.PENDING or (name, record.attempt + 1) in pods)
        for name, record in ledger.items()
    )


def chosen(step: Step) -> list[str]:
    """The jobs of `step.line` that start now; the others say what they wait for."""
    seen, most = step.seen, step.seen.policy.max_parallel
    room = len(step.line) if most is None else most - under_way(step.ledger, seen.pods)
    start: list[str] = []
    said: set[str] = set()
    for name in step.line:
        machine = seen.workflow.jobs[name].instance_type
        if room <= 0:
            first = RUN_LIMIT not in said
            text = f"{most} jobs of the run are under way at once (policy.maxParallel)"
            _wait(step, name, RUN_LIMIT, text if first else _BEHIND)
            said.add(RUN_LIMIT)
            continue
        room -= 1
        if seen.places is None or name in seen.places.given:
            start.append(name)
            continue
        step.wants.append((name, machine))
        reason, text = seen.places.told.get(machine, (NAMESPACE_LIMIT, "waits for a place"))
        _wait(step, name, reason, text if machine not in said else _BEHIND)
        said.add(machine)
    return start


def _wait(step: Step, name: str, reason: str, message: str | None) -> None:
    step.ledger[name] = replace(step.ledger[name], reason=reason, message=message)
