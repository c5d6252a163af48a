import math

from tests.bench.exposition import parse

TEXT = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{verb="create",resource="pods",code="201"} 3.0
requests_total{verb="create",resource="pods",code="409"} 1.0
requests_total{verb="patch",resource="pods",code="200"} 2.0
requests_created{verb="create"} 1.7e+09
depth 4
seconds_bucket{le="0.1"} 1.0
seconds_bucket{le="+Inf"} 2.0
odd{text="a \\"quoted\\", {braced} one",other="x"} 5
"""


def test_total_sums_what_carries_the_labels():
    scrape = parse(TEXT)
    assert scrape.total("requests_total") == 6
    assert scrape.total("requests_total", verb="create") == 4
    assert scrape.total("requests_total", verb="create", code="409") == 1
    assert scrape.total("depth") == 4
    assert scrape.total("unknown") == 0


def test_by_sums_over_the_other_labels():
    counted = parse(TEXT).by("requests_total", "verb", "resource")
    assert counted == {("create", "pods"): 4, ("patch", "pods"): 2}


def test_difference_is_what_was_added_since():
    before = parse('requests_total{verb="create"} 3')
    after = parse('requests_total{verb="create"} 10\nrequests_total{verb="patch"} 2')
    added = after - before
    assert added.total("requests_total", verb="create") == 7
    assert added.total("requests_total", verb="patch") == 2


def test_buckets_are_read_with_their_bounds():
    assert parse(TEXT).buckets("seconds") == {0.1: 1.0, math.inf: 2.0}


def test_only_wanted_names_are_read():
    scrape = parse(TEXT, names=("depth", "odd"))
    assert scrape.total("requests_total") == 0
    assert scrape.total("depth") == 4


def test_quotes_and_braces_in_label_values_do_not_confuse():
    assert parse(TEXT).total("odd", other="x") == 5
