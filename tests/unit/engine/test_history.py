"""Which ended runs go: by count and age, never the newest, never one that has just ended."""

from gradient_operator.engine.history import Ended, Limits, expired

DAY = 86_400.0
NOW = 1_000 * DAY


def run(name, *, days, succeeded=True):
    return Ended(name, succeeded, NOW - days * DAY)


def gone(*runs, latest="", **limits):
    given = {"succeeded": 2, "failed": 1, "seconds": 30 * DAY, "young_seconds": 600.0, **limits}
    return [each.name for each in expired(runs, Limits(**given), now=NOW, latest=latest)]


def test_the_newest_of_each_kind_stay():
    runs = [run(f"s{days}", days=days) for days in (1, 2, 3, 4)]
    runs += [run(f"f{days}", days=days, succeeded=False) for days in (1, 2)]
    assert gone(*runs) == ["s4", "s3", "f2"]


def test_what_is_too_old_goes_but_for_the_newest():
    assert gone(run("a", days=100), run("b", days=90)) == ["a"]


def test_the_run_that_the_workflow_names_stays():
    assert gone(run("a", days=100), run("b", days=90), latest="a") == []


def test_of_runs_that_ended_in_the_same_second_the_one_that_the_workflow_names_stays():
    assert gone(run("a", days=1), run("b", days=1), latest="a", succeeded=1) == ["b"]
    assert gone(run("a", days=1), run("b", days=1), latest="b", succeeded=1) == ["a"]


def test_no_run_goes_that_has_just_ended():
    runs = [Ended(f"r{n}", succeeded=True, ended_at=NOW - n) for n in range(10)]
    assert gone(*runs) == []
    assert len(gone(*runs, young_seconds=0.0)) == 8


def test_runs_of_no_workflow_go_by_age_alone():
    runs = [run(str(days), days=days) for days in range(1, 9)]
    assert gone(*runs, latest=None) == []
    assert gone(run("only", days=40), latest=None) == ["only"]
