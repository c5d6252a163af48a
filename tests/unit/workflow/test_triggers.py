"""What starts runs of a workflow, and what is refused about it."""

import pytest

from gradient_operator.workflow.triggers import trigger_of
from gradient_operator.workflow.validate import parse_spec
from tests.builders import make_workflow

SCHEDULE = {"schedule": [{"cron": "30 6 * * *"}]}
PUSH = {"github": {"branches": {"only": "main"}}}
OPEN = {"data": {"type": "dataset"}}


def trigger(policy=None, **top):
    spec = make_workflow(**top).job("a").data()
    return trigger_of(parse_spec(spec if policy is None else {**spec, "policy": policy}))


@pytest.mark.parametrize(
    ("top", "kind", "reason"),
    [
        ({}, "Spec", "SpecChange"),
        ({"on": PUSH}, "Spec", "SpecChange"),
        ({"inputs": OPEN}, "Manual", "InputsNeeded"),
        ({"on": SCHEDULE}, "Schedule", "Schedule"),
        ({"on": SCHEDULE | {"manual": {}}}, "Schedule", "Schedule"),
        ({"on": SCHEDULE | PUSH}, "Schedule", "Schedule"),
        ({"on": {"manual": {}}}, "Manual", "ManualTrigger"),
        ({"policy": {"start": "Manual"}}, "Manual", "Manual"),
        ({"on": SCHEDULE, "policy": {"start": "Manual"}}, "Manual", "Manual"),
    ],
)
def test_one_trigger_is_in_force(top, kind, reason):
    found = trigger(**top)
    assert (found.kind, found.reason) == (kind, reason)


def test_a_policy_that_stops_a_schedule_says_so():
    found = trigger(on=SCHEDULE, policy={"start": "Manual"})
    assert "policy.start: Manual stops its schedule" in found.message


def problems(on, **top):
    found = make_workflow(on=on, **top).job("a").problems()
    return [(".".join(map(str, problem.path)), problem.rule) for problem in found]


def test_a_valid_schedule_is_accepted():
    assert problems({"schedule": [{"cron": "0 6 * * MON", "timezone": "Europe/Berlin"}]}) == []


@pytest.mark.parametrize(
    ("entry", "field"),
    [({"cron": "@daily"}, "cron"), ({"cron": "0 0 * * *", "timezone": "Berlin"}, "timezone")],
)
def test_a_wrong_entry_is_named(entry, field):
    on = {"schedule": [{"cron": "0 6 * * *"}, entry]}
    assert problems(on) == [(f"on.schedule.1.{field}", "bad-schedule")]


def test_an_empty_schedule_is_refused():
    assert problems({"schedule": []}) == [("on.schedule", "bad-schedule")]


def test_a_scheduled_run_has_nobody_to_ask():
    asked = {"schedule": SCHEDULE["schedule"], "manual": {"inputs": {"size": {"required": True}}}}
    assert problems(asked, inputs=OPEN) == [
        ("inputs.data", "scheduled-input"),
        ("on.manual.inputs.size", "scheduled-input"),
    ]
