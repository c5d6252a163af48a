"""Every reason that a run, a job or `gradient why` may name: what it means, and the remedy.

Reasons are an interface: people alert by them and scripts branch on them. `docs/why.md` is written
from here. It may not know how a reason is found out.
"""

from typing import Final

from gradient_operator.engine.reason import Reason
from gradient_operator.engine.reasons_of_ends import ENDS, FAILURES, REFUSALS
from gradient_operator.engine.reasons_of_waits import BLOCKED, WAITS

REASONS: Final = {reason.id: reason for reason in (*WAITS, *BLOCKED, *FAILURES, *REFUSALS, *ENDS)}
"""By name."""


def reason_of(name: str) -> Reason:
    """The reason of that name; one that is not known, as a newer operator may write, as it is."""
    known = REASONS.get(name)
    if known is not None:
        return known
    return Reason(name, "wait", name, "a reason that this program does not know", "")
