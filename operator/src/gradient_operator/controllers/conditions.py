"""Conditions, as `metav1.Condition` and kstatus have them, from phases and sentences.

`Reconciling` and `Stalled` are abnormal-true: they stand only while they are true. A failed run is
a result, not a fault of the object, yet kstatus must come to an end: it is `Stalled`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gradient_operator.api.times import format_time
from gradient_operator.controllers.ledger import cut
from gradient_operator.engine.model import RunPhase

MESSAGE_LIMIT = 2_048
ARCHIVED = "Archived"
"""Of a finished run; written by the archive alone, beside the way of runs."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition before it gets its time."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


def merge(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Condition],
    *,
    generation: int,
    now: float,
) -> list[dict[str, Any]]:
    """The list for the status: the time of a condition changes only with its status.

    Those that are not in `after` go, but what the archive has written stays.
    """
    times = {item["type"]: (item["status"], item["lastTransitionTime"]) for item in before}
    given = {condition.type for condition in after}
    merged = [dict(item) for item in before if item["type"] == ARCHIVED and ARCHIVED not in given]
    for condition in after:
        status, time = times.get(condition.type, (None, None))
        merged.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": cut(condition.message, MESSAGE_LIMIT) or "",
                "lastTransitionTime": time if status == condition.status else format_time(now),
                "observedGeneration": generation,
            }
        )
    return merged


def with_archived(
    before: Sequence[Mapping[str, Any]],
    *,
    status: Literal["True", "False"],
    message: str,
    generation: int,
    now: float,
) -> list[dict[str, Any]]:
    """The conditions of a finished run with the one that says whether it is archived."""
    reason = "Archived" if status == "True" else "ArchiveFailed"
    own = [item for item in before if item["type"] == ARCHIVED]
    condition = Condition(ARCHIVED, status, reason, message)
    others = [dict(item) for item in before if item["type"] != ARCHIVED]
    return [*others, *merge(own, [condition], generation=generation, now=now)]


def of_run(phase: RunPhase, *, reason: str, message: str, accepted: bool) -> list[Condition]:
    """The conditions of a run that is in this phase."""
    verdict: Literal["True", "False", "Unknown"] = "Unknown"
    if phase.final:
        verdict = "True" if phase is RunPhase.SUCCEEDED else "False"
    found = [
        Condition(
            "Accepted",
            "True" if accepted else "False",
            "Valid" if accepted else reason,
            "" if accepted else message,
        ),
        Condition("Succeeded", verdict, reason, message),
        Condition("Ready", "True" if phase is RunPhase.SUCCEEDED else "False", reason, message),
    ]
    if not phase.final:
        found.append(Condition("Reconciling", "True", reason, message))
    elif phase is not RunPhase.SUCCEEDED:
        found.append(Condition("Stalled", "True", reason, message))
    return found
