"""How much memory the attempt after an end for lack of memory gets: `policy.outOfMemory`.

Follows from the machine type and the count of such ends in the ledger alone, so that a restart of
the operator changes nothing.
"""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

from gradient_operator.api.policy import OutOfMemoryPolicy

_MEBI: Final = 1024**2
_UNITS: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T"), start=1)},
    **{
        unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)
    },
}
_PARTS: Final = re.compile(r"^([0-9.]+)([a-zA-Z]*)$")


def grown(rules: OutOfMemoryPolicy, *, machine: str | None, failures: int) -> str | None:
    """The memory of the next attempt after so many ends for lack of memory, as a quantity.

    None: it cannot grow, as the machine type sets no limit or the cap is reached.
    """
    if machine is None:
        return None
    before = _capped(rules, machine, failures - 1)
    after = _capped(rules, machine, failures)
    if after <= before:
        return None
    return f"{(after / _MEBI).to_integral_value(ROUND_CEILING)}Mi"


def larger(first: str | None, second: str | None) -> str | None:
    """The larger of two quantities, as it is written; None counts as nothing."""
    if first is None or second is None:
        return first or second
    return first if in_bytes(first) >= in_bytes(second) else second


def _capped(rules: OutOfMemoryPolicy, machine: str, failures: int) -> Decimal:
    size = in_bytes(machine)
    wanted = size * Decimal(str(rules.factor)) ** failures
    if rules.max_memory is None:
        return wanted
    return max(size, min(wanted, in_bytes(rules.max_memory)))


def in_bytes(quantity: str) -> Decimal:
    """A Kubernetes quantity of memory in bytes.

    Raises:
        ValueError: it is none.
    """
    found = _PARTS.match(quantity)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{quantity!r} is no quantity: write it as 8Gi")
    return Decimal(found[1]) * _UNITS[found[2]]
