"""What is due at a look: the next time, a run, and what was missed."""

from datetime import UTC, datetime

from gradient_operator.api.triggers import Schedule
from gradient_operator.engine.schedule import COUNTED, first_after, look

HALF_PAST_SIX = [Schedule(cron="30 6 * * *")]


def at(text):
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC).timestamp()


def test_before_its_time_nothing_is_due():
    due = look(HALF_PAST_SIX, promised=at("03-02T06:30"), now=at("03-02T06:29:59"))
    assert due.start is None
    assert due.next == at("03-02T06:30")
    assert due.missed == ()


def test_at_its_time_a_run_is_due_and_the_next_time_follows():
    due = look(HALF_PAST_SIX, promised=at("03-02T06:30"), now=at("03-02T06:30"))
    assert due.start == at("03-02T06:30")
    assert due.next == at("03-03T06:30")


def test_a_look_within_the_hour_makes_up_for_it():
    due = look(HALF_PAST_SIX, promised=at("03-02T06:30"), now=at("03-02T07:30"))
    assert due.start == at("03-02T06:30")
    assert due.missed == ()


def test_a_later_look_does_not():
    due = look(HALF_PAST_SIX, promised=at("03-02T06:30"), now=at("03-02T07:30:01"))
    assert due.start is None
    assert due.missed == (at("03-02T06:30"),)
    assert due.next == at("03-03T06:30")


def test_of_many_missed_times_only_the_latest_is_made_up_for():
    quarters = [Schedule(cron="*/15 * * * *")]
    due = look(quarters, promised=at("03-02T06:00"), now=at("03-02T06:50"))
    assert due.start == at("03-02T06:45")
    assert due.missed == (at("03-02T06:00"), at("03-02T06:15"), at("03-02T06:30"))


def test_a_time_is_given_up_when_the_next_is_nearer():
    quarters = [Schedule(cron="*/15 * * * *")]
    due = look(quarters, promised=at("03-02T06:00"), now=at("03-02T06:07:31"))
    assert due.start is None
    assert due.missed == (at("03-02T06:00"),)


def test_entries_that_meet_start_one_run():
    both = [Schedule(cron="30 6 * * *"), Schedule(cron="30 7 * * *", timezone="Europe/Berlin")]
    due = look(both, promised=at("03-02T06:30"), now=at("03-02T06:30:05"))
    assert due.start == at("03-02T06:30")
    assert due.missed == ()


def test_the_earliest_of_all_entries_comes_next():
    both = [Schedule(cron="30 6 * * *"), Schedule(cron="0 5 * * *")]
    assert first_after(both, at("03-02T00:00")) == at("03-02T05:00")


def test_a_long_absence_costs_no_long_count():
    minutes = [Schedule(cron="* * * * *")]
    due = look(minutes, promised=at("01-01T00:00"), now=at("12-31T00:00:10"))
    assert due.start == at("12-31T00:00")
    assert len(due.missed) == COUNTED
    assert due.more_missed
    assert due.next == at("12-31T00:01")
