import pytest

from tests.bench import calls
from tests.bench.model import BenchError

SENT = {
    ("create", "pods"): 10,
    ("patch", "gradientruns"): 20,
    ("create", "events"): 5,
    ("get", "pods"): 1,
}


def test_requests_are_told_per_run():
    found = calls.figures(SENT, per=10)
    assert found["call create pods"] == 1.0
    assert found["call patch gradientruns"] == 2.0
    assert found["call patch pods"] == 0.0
    assert found["call other"] == pytest.approx(0.1)
    assert found["call all"] == pytest.approx(3.6)
    assert found["call no events"] == pytest.approx(3.1)


def test_every_row_has_its_figure():
    found = calls.figures(SENT)
    assert {row.key for row in calls.rows("requests", digits=0)} == found.keys()


def test_one_pod_for_each_job_is_right():
    calls.require(calls.counts(SENT), expected=10)


@pytest.mark.parametrize("expected", [9, 11])
def test_another_number_of_pods_than_jobs_ends_the_bench(expected):
    with pytest.raises(BenchError, match=f"10 Pods for {expected} jobs"):
        calls.require(calls.counts(SENT), expected=expected)
