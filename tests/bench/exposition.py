"""Reads Prometheus text: the operator's own metrics and the few of the API server that matter.

An API server's answer has 17,000 lines, so lines are picked by their name before they are parsed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Scrape:
    """Samples by name and labels; subtract an earlier one to learn what happened in between."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def __sub__(self, earlier: Scrape) -> Scrape:
        """What was added since; right for counters and histograms only."""
        return Scrape(
            {key: value - earlier.samples.get(key, 0.0) for key, value in self.samples.items()}
        )

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that carry these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (found, carried), value in self.samples.items()
            if found == name and wanted <= carried
        )

    def by(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The sums of a name's samples for each combination of these labels' values."""
        sums: Counter[tuple[str, ...]] = Counter()
        for (found, carried), value in self.samples.items():
            if found == name:
                of = dict(carried)
                sums[tuple(of.get(label, "") for label in labels)] += round(value)
        return sums

    def buckets(self, name: str) -> dict[float, float]:
        """The cumulative buckets of a histogram, all its label values together."""
        found: dict[float, float] = {}
        for (sample, carried), value in self.samples.items():
            if sample == f"{name}_bucket":
                bound = float(dict(carried)["le"])
                found[bound] = found.get(bound, 0.0) + value
        return found


def parse(text: str, *, names: Iterable[str] = ("",)) -> Scrape:
    """The samples whose names begin with one of `names`."""
    wanted = tuple(names)
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for line in text.splitlines():
        if line.startswith(wanted) and (match := _SAMPLE.match(line)):
            labels = frozenset(_LABEL.findall(match["labels"] or ""))
            samples[match["name"], labels] = float(match["value"])
    return Scrape(samples)
