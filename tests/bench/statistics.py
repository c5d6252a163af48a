"""Medians, spreads, quantiles and peak rates of lists of numbers; pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """What is told of several rounds. No round is ever left out."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """The median with the smallest and largest value; None of nothing."""
    if not values:
        return None
    return Spread(median(values), min(values), max(values))


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` (0 to 1) of all values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no quantile of nothing")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def peak_rate(times: Iterable[float], *, window: float = 1.0) -> float:
    """The most events per second in any window of so many seconds."""
    inside: deque[float] = deque()
    most = 0
    for time in sorted(times):
        inside.append(time)
        while time - inside[0] >= window:
            inside.popleft()
        most = max(most, len(inside))
    return most / window


def histogram_quantile(buckets: Mapping[float, float], share: float) -> float:
    """A quantile out of cumulative buckets (upper bound to count), as Prometheus reckons it.

    Between two bounds the values are taken as evenly spread. A quantile above the last finite bound
    is that bound: the histogram knows no more. NaN of an empty histogram.
    """
    ordered = sorted(buckets.items())
    total = ordered[-1][1] if ordered else 0
    if total <= 0:
        return math.nan
    wanted = share * total
    below_bound, below_count = 0.0, 0.0
    for bound, count in ordered:
        if count >= wanted:
            if math.isinf(bound):
                return below_bound
            inside = count - below_count
            part = (wanted - below_count) / inside if inside else 1.0
            return below_bound + (bound - below_bound) * part
        below_bound, below_count = bound, count
    return below_bound
