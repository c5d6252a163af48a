"""The hosted service's machine types: names, sizes and prices, as it published them."""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Machine:
    """A hosted machine type: sizes in vCPU and GB, price in dollars per hour where it is known."""

    name: str
    cpu: int
    memory: float
    price: str = ""
    gpu: str = ""
    gpu_memory: int = 0
    """Of each GPU."""
    multiples: tuple[int, ...] = ()
    """Of the GPU, each with a name of its own, as `A4000x2`."""


MACHINES: Final = (
    Machine("C1", 1, 0.5),
    Machine("C3", 2, 2),
    Machine("C4", 2, 4, "0.04"),
    Machine("C5", 4, 8, "0.08"),
    Machine("C6", 8, 16),
    Machine("C7", 12, 30, "0.30"),
    Machine("C8", 16, 60),
    Machine("C9", 24, 120),
    Machine("C10", 32, 244),
    Machine("M4000", 8, 30, "", "Quadro M4000", 8),
    Machine("P4000", 8, 30, "0.51", "Quadro P4000", 8, (2, 4)),
    Machine("P5000", 8, 30, "0.78", "Quadro P5000", 16, (2, 4)),
    Machine("P6000", 8, 30, "1.10", "Quadro P6000", 24, (2, 4)),
    Machine("RTX4000", 8, 30, "0.56", "Quadro RTX 4000", 8, (2, 4)),
    Machine("RTX5000", 8, 30, "", "Quadro RTX 5000", 16, (2, 4)),
    Machine("A4000", 8, 45, "0.76", "RTX A4000", 16, (2, 4)),
    Machine("A5000", 8, 45, "1.38", "RTX A5000", 24, (2, 4)),
    Machine("A6000", 8, 45, "1.89", "RTX A6000", 48, (2, 4, 8)),
    Machine("V100", 8, 30, "2.30", "Tesla V100", 16),
    Machine("V100-32G", 8, 30, "", "Tesla V100", 32, (2, 4, 8)),
    Machine("A100", 12, 90, "3.09", "A100 SXM", 40, (2, 4, 8)),
    Machine("A100-80G", 12, 90, "3.18", "A100 SXM", 80, (2, 4, 8)),
    Machine("H100", 20, 250, "5.95", "H100 SXM5", 80),
    Machine("H100x8", 128, 2_048, "", "H100 SXM5", 80),
)
GPUS_OF: Final = {"H100x8": 8}
"""Multiples whose own sizes were published; the others are taken times their count."""
NAMES: Final = frozenset(
    name
    for machine in MACHINES
    for name in (machine.name, *(f"{machine.name}x{count}" for count in machine.multiples))
)
"""Of all of them, multiples included."""


def spelling(name: str) -> str:
    """What names of one machine type have in common: files have `p4000` and `A100-80GBx4`, too."""
    return _GIGABYTES.sub("g", name.casefold())


_GIGABYTES: Final = re.compile(r"(?<=\d)gb(?=x\d|\Z)")
