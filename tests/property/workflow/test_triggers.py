"""Whatever stands in a schedule, a group or a manual input gets an answer, never a fault."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_operator.api.triggers import Schedule
from gradient_operator.engine.schedule import look
from gradient_operator.workflow.cron import ScheduleProblem, check, next_time
from gradient_operator.workflow.group import MAX_GROUP, group_of
from tests.builders import make_workflow

FIELD = st.text(alphabet="0123456789*/,-#LW?MONJA ", min_size=1, max_size=8)
EXPRESSION = st.one_of(
    st.text(min_size=1, max_size=60), st.lists(FIELD, min_size=5, max_size=5).map(" ".join)
)
ZONE = st.one_of(
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]),
    st.text(min_size=1, max_size=30),
)
MOMENT = st.integers(min_value=1_700_000_000, max_value=2_500_000_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
MINUTES = st.integers(min_value=1, max_value=30).map(lambda step: f"*/{step} * * * *")


@settings(deadline=None)
@given(EXPRESSION, ZONE, MOMENT)
def test_any_schedule_is_read_or_refused(cron, zone, now):
    schedule = Schedule(cron=cron, timezone=zone)
    try:
        check(schedule, now=now)
    except ScheduleProblem:
        return
    found = next_time(schedule, now)
    assert found is None or (found > now and found % 60 == 0)


@settings(deadline=None)
@given(
    st.lists(st.builds(Schedule, cron=MINUTES), min_size=1, max_size=3),
    MOMENT,
    st.integers(min_value=0, max_value=20_000),
)
def test_each_time_is_started_missed_or_still_to_come(schedules, promised, absence):
    promised -= promised % 60
    due = look(schedules, promised=promised, now=promised + absence)
    assert due.next is not None
    assert due.next > promised + absence
    times = [*due.missed, *([] if due.start is None else [due.start])]
    assert len(times) == len(set(times))
    assert all(promised <= time <= promised + absence for time in times)
    again = look(schedules, promised=due.next, now=promised + absence)
    assert (again.start, again.missed) == (None, ())


@given(JSON, JSON, JSON, st.text(max_size=300))
def test_any_run_has_a_group_or_none(concurrency, inputs, on, text):
    for value in (concurrency, text, {"group": f"{text}${{{{ inputs.a }}}}"}):
        definition = {"concurrency": value, "inputs": inputs, "on": on}
        found = group_of({"definition": definition, "inputs": inputs, "workflow": text})
        assert found is None or len(found.name) <= MAX_GROUP


@settings(deadline=None)
@given(JSON, JSON)
def test_any_trigger_gets_a_verdict(on, concurrency):
    problems = make_workflow(on=on, concurrency=concurrency).job("a").problems()
    assert all(problem.message for problem in problems)
