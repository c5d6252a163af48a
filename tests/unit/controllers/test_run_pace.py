"""A wide run rests after a look; a small one, and one that a person changes, never does."""

import pytest

from gradient_operator.controllers.run_pace import CHEAP, LONGEST, NARROW, REST, Pace


class Clock:
    def __init__(self):
        self.now = 100.0
        self.spent = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def look(pace, clock, *plans, jobs=1_000):
    for seconds in plans:
        with pace.planning(jobs):
            clock.spent += seconds
        clock.now += 1.0  # requests, which cost nothing
    pace.looked("1")


def test_the_first_look_is_due(clock):
    assert Pace(clock, lambda: clock.spent).wait("1") <= 0


def test_a_cheap_look_needs_no_rest(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, CHEAP / 2)
    assert pace.wait("1") <= 0


def test_rest_is_in_proportion_to_all_planning_of_a_look(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, 0.002, 0.003)
    assert pace.wait("1") == pytest.approx(0.005 * REST)
    clock.now += 0.005 * REST
    assert pace.wait("1") <= 0


def test_a_plan_that_was_interrupted_was_not_expensive(clock):
    pace = Pace(clock, lambda: clock.spent)
    with pace.planning(1_000):
        clock.now += 5.0
    pace.looked("1")
    assert pace.wait("1") <= 0


def test_no_rest_is_long(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, 10.0)
    assert pace.wait("1") == pytest.approx(LONGEST)


def test_a_changed_run_is_looked_at_at_once(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, 10.0)
    assert pace.wait("2") <= 0


def test_a_rest_is_reckoned_anew_after_each_look(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, 10.0)
    look(pace, clock, CHEAP / 2)
    assert pace.wait("1") <= 0


def test_a_narrow_run_never_rests(clock):
    pace = Pace(clock, lambda: clock.spent)
    look(pace, clock, 10.0, jobs=NARROW)
    assert pace.wait("1") <= 0
