import math

import pytest

from tests.bench.statistics import Spread, histogram_quantile, peak_rate, quantile, spread


def test_spread_keeps_the_extremes():
    assert spread([3.0, 1.0, 100.0]) == Spread(median=3.0, low=1.0, high=100.0)


def test_spread_of_nothing_is_none():
    assert spread([]) is None


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)]
)
def test_quantile_is_a_value_that_was_measured(share, expected):
    assert quantile(range(1, 101), share) == expected


def test_quantile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no quantile of nothing"):
        quantile([], 0.5)


def test_peak_rate_counts_the_best_window():
    quiet = [0.0, 10.0, 20.0]
    crowd = [5.0, 5.2, 5.4, 5.9]
    assert peak_rate(quiet + crowd) == 4.0


def test_peak_rate_does_not_count_both_ends_of_a_second():
    assert peak_rate([0.0, 1.0]) == 1.0


def test_peak_rate_of_nothing_is_zero():
    assert peak_rate([]) == 0.0


def test_histogram_quantile_spreads_evenly_between_bounds():
    buckets = {0.1: 0.0, 0.2: 10.0, math.inf: 10.0}
    assert histogram_quantile(buckets, 0.5) == pytest.approx(0.15)


def test_histogram_quantile_knows_nothing_above_the_last_bound():
    buckets = {1.0: 1.0, 2.0: 2.0, math.inf: 100.0}
    assert histogram_quantile(buckets, 0.99) == 2.0


def test_histogram_quantile_of_an_empty_histogram_is_no_number():
    assert math.isnan(histogram_quantile({1.0: 0.0, math.inf: 0.0}, 0.5))
    assert math.isnan(histogram_quantile({}, 0.5))
