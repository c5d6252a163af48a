"""Conditions as `kubectl wait`, Argo CD and kstatus read them."""

import pytest

from gradient_operator.controllers.conditions import (
    MESSAGE_LIMIT,
    Condition,
    merge,
    of_run,
    with_archived,
)
from gradient_operator.engine.model import RunPhase

NOON = 1_769_860_800.0
TRUE = Condition("Ready", "True", "Valid", "fine")


def test_a_condition_gets_time_and_generation():
    assert merge([], [TRUE], generation=3, now=NOON) == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Valid",
            "message": "fine",
            "lastTransitionTime": "2026-01-31T12:00:00Z",
            "observedGeneration": 3,
        }
    ]


@pytest.mark.parametrize(
    ("after", "time"),
    [
        (TRUE, "2026-01-31T12:00:00Z"),
        (Condition("Ready", "True", "Other", "words"), "2026-01-31T12:00:00Z"),
        (Condition("Ready", "False", "Valid", "fine"), "2026-01-31T12:01:00Z"),
    ],
    ids=["unchanged", "another reason", "another status"],
)
def test_its_time_changes_with_its_status_alone(after, time):
    before = merge([], [TRUE], generation=1, now=NOON)
    merged = merge(before, [after], generation=2, now=NOON + 60)
    assert [item["lastTransitionTime"] for item in merged] == [time]


def test_a_condition_that_is_not_given_any_more_goes():
    before = merge([], [TRUE, Condition("Stalled", "True", "Bad")], generation=1, now=NOON)
    assert [item["type"] for item in merge(before, [TRUE], generation=1, now=NOON)] == ["Ready"]


def test_what_the_archive_wrote_stays():
    own = {"status": "False", "message": "away", "generation": 1, "now": NOON}
    before = with_archived([], **own)
    assert merge(before, [TRUE], generation=2, now=NOON)[0] == before[0]
    after = with_archived(before, **(own | {"message": "still away", "now": NOON + 60}))
    assert [item["message"] for item in after] == ["still away"]
    assert after[0]["lastTransitionTime"] == "2026-01-31T12:00:00Z"


def test_a_long_message_is_cut():
    merged = merge([], [Condition("Ready", "True", "Valid", "x" * 9_000)], generation=1, now=NOON)
    assert len(merged[0]["message"]) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("phase", "statuses"),
    [
        (
            RunPhase.RUNNING,
            {"Accepted": "True", "Succeeded": "Unknown", "Ready": "False", "Reconciling": "True"},
        ),
        (RunPhase.SUCCEEDED, {"Accepted": "True", "Succeeded": "True", "Ready": "True"}),
        (
            RunPhase.FAILED,
            {"Accepted": "True", "Succeeded": "False", "Ready": "False", "Stalled": "True"},
        ),
        (
            RunPhase.CANCELLED,
            {"Accepted": "True", "Succeeded": "False", "Ready": "False", "Stalled": "True"},
        ),
    ],
)
def test_each_phase_has_its_conditions(phase, statuses):
    found = of_run(phase, reason="Reason", message="words", accepted=True)
    assert {item.type: item.status for item in found} == statuses


def test_a_refused_run_says_why_under_accepted():
    accepted = of_run(RunPhase.FAILED, reason="Bad", message="words", accepted=False)[0]
    assert (accepted.status, accepted.reason, accepted.message) == ("False", "Bad", "words")
