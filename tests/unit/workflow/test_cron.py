"""The times of a schedule: which there are, where clocks change, and what cannot be read."""

from datetime import UTC, datetime

import pytest

from gradient_operator.api.triggers import Schedule
from gradient_operator.workflow.cron import ScheduleProblem, check, next_time

BERLIN = "Europe/Berlin"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def times(cron, after, *, count=1, timezone="UTC"):
    schedule = Schedule(cron=cron, timezone=timezone)
    found, time = [], at(after)
    for _ in range(count):
        time = next_time(schedule, time)
        found.append(datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 6 * * *", "2026-03-02T06:30"),
        ("*/15 * * * *", "2026-03-01T12:15"),
        ("0 0 * * MON-FRI", "2026-03-02T00:00"),
        ("0 0 1 jan *", "2027-01-01T00:00"),
        ("0 0 L * *", "2026-03-31T00:00"),
        ("  0   13 * * * ", "2026-03-01T13:00"),
    ],
)
def test_the_next_time_is_that_of_cron(cron, expected):
    assert times(cron, "2026-03-01T12:00") == [expected]


def test_a_time_is_later_than_what_it_follows():
    assert times("* * * * *", "2026-03-01T12:00") == ["2026-03-01T12:01"]
    assert times("* * * * *", "2026-03-01T11:59:59.5") == ["2026-03-01T12:00"]


def test_a_zone_moves_the_time_with_its_summer():
    found = times("30 6 * * *", "2026-03-28T00:00", count=2, timezone=BERLIN)
    assert found == ["2026-03-28T05:30", "2026-03-29T04:30"]


def test_a_fixed_time_that_is_skipped_comes_right_after_the_gap():
    found = times("30 2 * * *", "2026-03-28T12:00", count=2, timezone=BERLIN)
    assert found == ["2026-03-29T01:00", "2026-03-30T00:30"]


def test_a_fixed_time_that_comes_twice_happens_once():
    found = times("30 2 * * *", "2026-10-24T12:00", count=2, timezone=BERLIN)
    assert found == ["2026-10-25T00:30", "2026-10-26T01:30"]


def test_a_look_from_between_the_two_comings_does_not_go_back():
    found = times("40 2 * * *", "2026-10-25T01:35", timezone=BERLIN)
    assert found == ["2026-10-26T01:40"]


def test_a_star_follows_the_clock_that_passes():
    found = times("30 * * * *", "2026-10-24T23:45", count=3, timezone=BERLIN)
    assert found == ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]
    found = times("30 * * * *", "2026-03-29T00:15", count=2, timezone=BERLIN)
    assert found == ["2026-03-29T00:30", "2026-03-29T01:30"]


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("@daily", "'@daily' is not known here: write '0 0 * * *'"),
        ("* * * * * *", "'* * * * * *' has 6 fields: write five fields"),
        ("every day", "'every day' has 2 fields: write five fields"),
        ("61 * * * *", "'61 * * * *': the field for the minute cannot be read"),
        ("0 0 * * FRIDAY", "'0 0 * * FRIDAY': the field for the day-of-week cannot be read"),
        ("0 0 30 2 *", "'0 0 30 2 *': the field for the day-of-month cannot be read"),
        ("0 0 */31 2 MON#5", "'0 0 */31 2 MON#5' never comes: correct the day or month"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(cron, sentence):
    with pytest.raises(ScheduleProblem) as caught:
        check(Schedule(cron=cron), now=at("2026-01-01T00:00"))
    assert str(caught.value).startswith(sentence)
    assert caught.value.field == "cron"


@pytest.mark.parametrize("zone", ["Europe/Berln", "berlin", "Europe", "../etc/passwd", "CEST+1"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(ScheduleProblem) as caught:
        check(Schedule(cron="0 0 * * *", timezone=zone), now=at("2026-01-01T00:00"))
    assert caught.value.field == "timezone"


def test_the_nearest_zone_is_named():
    with pytest.raises(ScheduleProblem, match="did you mean 'Europe/Berlin'"):
        check(Schedule(cron="0 0 * * *", timezone="Europe/Berln"), now=0)
