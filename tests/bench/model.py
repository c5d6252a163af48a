"""What the bench measures and what comes out; knows neither the cluster nor how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.bench.arena import Arena


class BenchError(Exception):
    """The bench cannot go on; the sentence says why and what helps."""


class Contestant(StrEnum):
    """Who runs a load."""

    BARE = "bare"
    OPERATOR = "operator"
    WITHOUT_FINALIZER = "without-finalizer"

    @property
    def is_operator(self) -> bool:
        """Whether it is the operator, in one of its configurations."""
        return self is not Contestant.BARE


PAIR: Final = (Contestant.BARE, Contestant.OPERATOR)
"""Those of the loads that take many minutes: what the finalizer costs, the others tell."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a load's table; `key` finds its value in a measurement."""

    key: str
    label: str
    unit: str
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contestant in one round: values by the key of their figure, counts by what they count.

    `counts` are what must be right whatever the speed: Pods created, runs that succeeded. `notes`
    say what a reader must know about this one measurement.
    """

    figures: Mapping[str, float]
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the loads are."""

    chain: int
    chains: int
    """Measured chains in one round, one after another."""
    narrow: int
    width: int
    wide: int
    burst: int
    flood: int
    rate: int
    """Runs per minute in the first step of the rising rate."""
    step: int
    """Seconds of each step."""
    finished: int
    """Runs that have ended, beside an operator that has nothing to do."""
    running: int
    idle: int
    """Seconds without anything to do."""
    history: int
    """Runs that have ended, when an operator starts."""
    submitted: int
    """Runs that were sent while there was no operator."""


FULL = Sizes(
    chain=10,
    chains=5,
    narrow=100,
    width=1_000,
    wide=2_000,
    burst=1_000,
    flood=5_000,
    rate=900,
    step=60,
    finished=10_000,
    running=500,
    idle=600,
    history=4_500,
    submitted=500,
)
QUICK = Sizes(
    chain=10,
    chains=2,
    narrow=20,
    width=100,
    wide=100,
    burst=100,
    flood=100,
    rate=300,
    step=3,
    finished=50,
    running=10,
    idle=3,
    history=50,
    submitted=10,
)


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the bench: what it does, its figures, and how each kind of contestant runs it."""

    key: str
    title: str
    explanation: str
    figures: tuple[Figure, ...]
    seconds: float
    """The longest that one contestant may take."""
    rounds: int
    run: Callable[[Arena, Contestant], Awaitable[Measurement]]
    contestants: tuple[Contestant, ...] = tuple(Contestant)
    long: bool = False
    """Whether it takes many minutes, and is run only when asked for."""
    ours: bool = False
    """Whether only this project's operator can be measured by it."""


@dataclass(slots=True)
class LoadResult:
    """All rounds of one load, in the order in which they were run."""

    load: Load
    rounds: list[dict[Contestant, Measurement]] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    """Share of the machine (0 to 1) that was busy before each contestant began."""

    def values(self, contestant: Contestant, key: str) -> list[float]:
        """A figure in every round that has it."""
        measured = [found[contestant] for found in self.rounds if contestant in found]
        return [one.figures[key] for one in measured if key in one.figures]

    def ratios(self, contestant: Contestant, key: str) -> list[float]:
        """The contestant's figure over the bare client's of the same round."""
        return [
            mine.figures[key] / bare.figures[key]
            for found in self.rounds
            if (mine := found.get(contestant)) and (bare := found.get(Contestant.BARE))
            if key in mine.figures and bare.figures.get(key)
        ]
