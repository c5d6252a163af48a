"""Shows results: tables that read as text and as Markdown, the page of the documentation, JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.bench.model import Contestant, Figure, LoadResult, Sizes
from tests.bench.statistics import Spread, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.machine import Machine

_HEAD: Final = (
    "figure",
    "bare client",
    "operator",
    "÷ bare",
    "without finalizer",
    "÷ bare",
)
_FOREIGN: Final = 0.5
"""A share of busy processors before a load from which on its figures are called into question."""
_INTRODUCTION: Final = """\
# Benchmarks

<!-- Generated: do not edit. Each section names the command that writes it anew. -->

How long the operator takes, next to a bare client that creates the same Pods on the same API server
in the same minutes: a real etcd, API server, controller manager and scheduler, and nodes whose
kubelets [KWOK](https://kwok.sigs.k8s.io) plays, so that a Pod succeeds as soon as it is scheduled.
Machines differ; **the ratios** (columns "÷ bare") are what can be compared.

* Each cell is the median of all rounds, with the smallest and the largest value in parentheses. A
  ratio is taken within each round first. No round is left out.
* The operator is the real process with a configuration of its own, started afresh for every
  measurement and idle before it begins. The contestants take turns, in reverse order every second
  round.
* "Operator" keeps each Pod by a finalizer until its result is recorded, as it does by default;
  "without finalizer" is the same with `podFinalizer: false`.
* Times are taken by the bench's own watch, when it receives what happened. It shares the machine
  with everything else.
* The jobs are plain containers: no datasets are fetched or uploaded.
* Requests are those that the operator counts in its own metrics. The API server's counters are
  compared with them, and a difference is noted below the table.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one call of the bench found out."""

    date: str
    command: str
    machine: Machine
    kubernetes: str
    sizes: Sizes
    results: Sequence[LoadResult]
    engine: str = "operator"

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join([self._circumstances(), *map(self._section, self.results)])

    def introduction(self) -> str:
        """What stands above all loads in `docs/benchmarks.md`."""
        return _INTRODUCTION

    def sections(self) -> list[str]:
        """The loads that were measured, for `docs/benchmarks.md`, each with its circumstances."""
        circumstances = f"```sh\n{self.command}\n```\n\n{self._circumstances()}"
        return [self._section(result, circumstances) for result in self.results]

    def dump(self) -> dict[str, Any]:
        """For JSON: every value of every round."""
        return {
            "date": self.date,
            "command": self.command,
            "machine": self.machine.dump(),
            "kubernetes": self.kubernetes,
            "sizes": asdict(self.sizes),
            "loads": {result.load.key: _dump(result) for result in self.results},
        }

    def _circumstances(self) -> str:
        machine = self.machine
        lines = [
            f"* {self.date}; commit {machine.commit}",
            f"* Kubernetes {self.kubernetes}, Python {machine.python}, Linux {machine.kernel}",
            f"* {machine.cores} cores ({machine.processor}), {machine.memory_gib:g} GiB",
            "* API server, etcd, scheduler, KWOK, operator and bench share this machine",
            f"* load average before the start: {machine.load_average:.2f}",
        ]
        if machine.busy:
            lines.append(
                f"* **the machine was busy with other work** (load average above its "
                f"{machine.cores} cores): these figures mean little"
            )
        return "\n".join(lines)

    def _section(self, result: LoadResult, circumstances: str = "") -> str:
        load, sizes = result.load, asdict(self.sizes)
        rounds = len(result.rounds)
        parts = [
            f"## {load.key}: {load.title.format(**sizes)}",
            f"{load.explanation.format(**sizes)} {rounds} round{'s' if rounds > 1 else ''}.",
            circumstances,
            table(result, engine=self.engine),
            *_remarks(result),
        ]
        return "\n\n".join(part for part in parts if part)


def table(result: LoadResult, *, engine: str = "operator") -> str:
    """The figures of a load, aligned; columns without any are left out."""
    head = [engine if cell == "operator" else cell for cell in _HEAD]
    rows = [_row(result, figure) for figure in result.load.figures]
    columns = [
        column
        for at, column in enumerate(zip(head, *rows, strict=True))
        if at == 0 or any(column[1:])
    ]
    widths = [max(map(len, column)) for column in columns]
    head, *rows = [list(row) for row in zip(*columns, strict=True)]
    lines = [_line(head, widths)]
    lines.append(
        "| "
        + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
        + " |"
    )
    lines += [_line(row, widths) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def _row(result: LoadResult, figure: Figure) -> list[str]:
    cells = [f"{figure.label}, {figure.unit}" if figure.unit else figure.label]
    for contestant in Contestant:
        cells.append(_cell(spread(result.values(contestant, figure.key)), figure.digits))
        if contestant.is_operator:
            cells.append(_cell(spread(result.ratios(contestant, figure.key)), 2))
    return cells


def _cell(found: Spread | None, digits: int) -> str:
    if found is None:
        return ""
    middle, low, high = (f"{value:,.{digits}f}" for value in (found.median, found.low, found.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _remarks(result: LoadResult) -> Iterable[str]:
    worst = max(result.foreign, default=0.0)
    if worst > _FOREIGN:
        yield (
            f"**Other programs kept up to {worst:.0%} of the machine busy before a measurement "
            "began**: the figures of this load mean little."
        )
    notes = [
        f"* round {number + 1}, {contestant}: {note}"
        for number, found in enumerate(result.rounds)
        for contestant, measured in found.items()
        for note in measured.notes
    ]
    if notes:
        yield "\n".join(notes)


def _dump(result: LoadResult) -> dict[str, Any]:
    return {
        "busy_before": result.foreign,
        "rounds": [
            {contestant.value: asdict(measured) for contestant, measured in found.items()}
            for found in result.rounds
        ],
    }
