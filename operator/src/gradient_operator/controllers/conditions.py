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
    """The list for the status: the time of a condition changes only with its status."""
    times = {item["type"]: (item["status"], item["lastTransitionTime"]) for item in before}
    merged = []
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
