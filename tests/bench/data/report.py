"""Shows what the data bench found: for a terminal, for the documentation, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.bench import page
from tests.bench.data.contest import OURS
from tests.bench.data.trees import MIB
from tests.bench.statistics import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.data.clients import Measured
    from tests.bench.data.contest import Found, Turn
    from tests.bench.machine import Machine

_GIB: Final = 1024 * MIB
_INTRODUCTION: Final = """\
# Data

How fast trees of random bytes get into one SeaweedFS and out again, by
{programs}:
all on one machine and one disk, each client a process of its own, one after the other, in reverse
order every second round. Before each transfer as many bytes are written and deleted, so that what
was written before is on disk, and memory at hand that the host of a virtual machine has handed out.
Ours checks every digest in both directions and makes an immutable version; the others copy.

* Rates are medians of all rounds with the smallest and the largest value in parentheses. CPU is the
  client's, per GiB moved; memory is its highest resident size.
* The others do not read what they wrote: "if it had hashed" adds SHA-256 of the same bytes, on all
  processors, to their time.
* "Of the limit" is the time that nobody can beat, SHA-256 of the same bytes on all processors or
  bare requests of 16 MiB to the same server by the same client library, whichever is longer,
  divided by ours.
* Each load, and each row, says when it was measured and from which commit; the lines below a table
  are about the rows of its last call.
* "Again" uploads the unchanged tree a second time: in a Pod, which knows the version before but has
  to read every file, and by `gradient dataset put`, which remembers what the directory was. A
  program needs about 0.1 s to start before it does anything; an uploader has started when its job
  ends.
"""
_PROGRAMS: Final = {
    OURS: "ours",
    "rclone": "rclone 1.75.2",
    "s5cmd": "s5cmd 2.3.0",
    "boto3": "boto3 1.44.5",
}


@dataclass(frozen=True, slots=True)
class About:
    """The circumstances of one call."""

    date: str
    command: str
    machine: Machine
    minutes: float
    rounds: int


def text(about: About, found: Sequence[Found]) -> str:
    """For a terminal."""
    return "\n\n".join([_circumstances(about), *(_section(about, item) for item in found)])


def introduction() -> str:
    """What stands above all loads in `docs/benchmarks.md`."""
    *most, last = _PROGRAMS.values()
    return _INTRODUCTION.format(programs=f"{', '.join(most)} and {last}")


def sections(about: About, found: Sequence[Found]) -> list[str]:
    """The loads that were measured, for `docs/benchmarks.md`, each with its circumstances."""
    command = f"```sh\n{about.command}\n```"
    return [
        _section(about, item, f"{command}\n\n{_circumstances(about)}")
        for item in found
        if item.turns or item.problems
    ]


def dump(about: About, found: Sequence[Found]) -> dict[str, Any]:
    """For JSON: every value of every round."""
    return {
        "date": about.date,
        "command": about.command,
        "machine": about.machine.dump(),
        "loads": {
            item.load.key: {
                "turns": [asdict(turn) for turn in item.turns],
                "limits": [asdict(limits) for limits in item.limits],
                "problems": item.problems,
            }
            for item in found
        },
    }


def _circumstances(about: About) -> str:
    machine = about.machine
    rounds = f"{about.rounds} round{'s' if about.rounds > 1 else ''}, {about.minutes:.1f} minutes"
    lines = [
        f"* {about.date}; commit {machine.commit}",
        f"* Python {machine.python}, Linux {machine.kernel}",
        f"* {machine.cores} cores ({machine.processor}), {machine.memory_gib:g} GiB for all",
        f"* {rounds}; load average before the start: {machine.load_average:.2f}",
    ]
    if machine.busy:
        lines.append("* **the machine was busy with other work**: these figures mean little")
    return "\n".join(lines)


def _section(about: About, found: Found, circumstances: str = "") -> str:
    load = found.load
    by_files = load.bytes / load.count < MIB
    unit, amount = ("files/s", load.count) if by_files else ("MiB/s", load.bytes / MIB)
    names = dict.fromkeys(turn.client for turn in found.turns)
    head = ("client", f"up {unit}", "CPU s/GiB", "MiB", f"down {unit}", "CPU s/GiB", "MiB")
    measured = f"{about.date.removesuffix(' UTC')}, {about.machine.commit}"
    rows = [
        (
            name,
            *_cells(found, name, amount, lambda turn: turn.up),
            *_cells(found, name, amount, lambda turn: turn.down),
            measured,
        )
        for name in sorted(names, key=list(_PROGRAMS).index)
    ]
    table = page.aligned([(*head, "measured"), *rows])
    parts = [f"## {load.key}: {load.title}", circumstances, table]
    parts += ["\n".join(f"* {line}" for line in _remarks(found))]
    parts += ["\n".join(f"* **failed**: {_short(problem)}" for problem in found.problems)]
    return "\n\n".join(part for part in parts if part)


def _short(problem: str) -> str:
    return " ".join(problem.split())[:200]


def _cells(
    found: Found, client: str, amount: float, pick: Callable[[Turn], Measured]
) -> tuple[str, ...]:
    turns = [pick(turn) for turn in found.of(client)]
    rates = spread([amount / turn.seconds for turn in turns])
    cpu = spread([turn.cpu / (found.load.bytes / _GIB) for turn in turns])
    if rates is None or cpu is None:
        return ("", "", "")
    rate = f"{rates.median:,.0f}"
    if len(turns) > 1:
        rate += f" ({rates.low:,.0f} to {rates.high:,.0f})"
    return rate, f"{cpu.median:.1f}", f"{max(turn.peak for turn in turns) / MIB:,.0f}"


def _remarks(found: Found) -> Iterator[str]:
    ours = found.of(OURS)
    if not ours:
        return
    others = {turn.client for turn in found.turns} - {OURS}
    for word, pick, limit in (
        ("up", lambda turn: turn.up.seconds, lambda limits: max(limits.hash, limits.put)),
        ("down", lambda turn: turn.down.seconds, lambda limits: max(limits.hash, limits.get)),
    ):
        mine = _median(pick(turn) for turn in ours)
        line = f"{word}: {mine:.2f} s"
        if not found.load.ours_only:
            line += f", {_median(map(limit, found.limits)) / mine:.2f} of the limit"
        times = {client: _median(map(pick, found.of(client))) for client in others}
        if times:
            best = min(times, key=times.__getitem__)
            line += f"; {times[best] / mine:.2f} times as fast as {best}, the best of the others"
            if word == "down":
                checked = times[best] + _median(limits.hash for limits in found.limits)
                line += f" ({checked / mine:.2f} if it had hashed what it wrote)"
        yield line
    first = _median(turn.up.seconds for turn in ours)
    again = _median(turn.again.seconds for turn in ours if turn.again is not None)
    put = _median(turn.put_again.seconds for turn in ours if turn.put_again is not None)
    yield (
        f"again, of the first upload's {first:.2f} s: {again / first:.0%} in a Pod "
        f"({again:.2f} s), {put / first:.0%} by `gradient dataset put` ({put:.2f} s)"
        f"{_without_start(ours)}"
    )
    if found.load.ours_only:
        return
    yield (
        f"limits: SHA-256 {_median(limits.hash for limits in found.limits):.2f} s, bare PUT "
        f"{_median(limits.put for limits in found.limits):.2f} s, bare GET "
        f"{_median(limits.get for limits in found.limits):.2f} s"
    )


def _without_start(ours: Sequence[Turn]) -> str:
    """The same without starting Python and importing, which the program itself leaves out."""
    first, again, put = (
        _median(json.loads(measured.said)["seconds"] for measured in turns if measured is not None)
        for turns in (
            [turn.up for turn in ours],
            [turn.again for turn in ours],
            [turn.put_again for turn in ours],
        )
    )
    return f"; without the start of the programs {again / first:.0%} and {put / first:.0%}"


def _median(values: Any) -> float:
    found = spread(list(values))
    return found.median if found is not None else float("nan")
