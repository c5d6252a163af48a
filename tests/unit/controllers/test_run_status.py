"""The status of a run, and the patch that brings it to the API server."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_operator.api.run import RunStatus
from gradient_operator.api.workflow import Policy
from gradient_operator.controllers import run_status
from gradient_operator.controllers.pinning import Pinned
from gradient_operator.controllers.run_state import RunState
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase, VolumeRecord
from gradient_operator.pods.request import RunIdentity
from tests.builders import DIGEST, diamond, done_job, failed_pod, make_pod, succeeded_pod
from tests.unit.controllers.memory_api import merge

NOW = 1_769_860_800.0
LEAVES = st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_size=3,
)


@given(OBJECTS, OBJECTS)
def test_the_patch_makes_the_old_status_the_new_one(old, new):
    assert merge(old, run_status.difference(old, new)) == new


@given(OBJECTS)
def test_equal_statuses_need_no_patch(status):
    assert run_status.difference(status, json.loads(json.dumps(status))) == {}


def test_only_jobs_that_changed_are_sent():
    old = {"jobs": {"a": {"phase": "Running", "reason": "x"}, "b": {"phase": "Pending"}}}
    new = {"jobs": {"a": {"phase": "Succeeded"}, "b": {"phase": "Pending"}}}
    patch = run_status.difference(old, new)
    assert patch == {"jobs": {"a": {"phase": "Succeeded", "reason": None}}}


def state(**changes):
    return RunState(
        **{
            "identity": RunIdentity("run", "uid", "ns", "w"),
            "workflow": diamond(),
            "policy": Policy(),
            "provider": None,
            "storage": None,
            "ledger": {"a": done_job(), "b": JobRecord(JobPhase.RUNNING, 1)},
            "phase": RunPhase.RUNNING,
            "started_at": NOW,
            **changes,
        }
    )


def built(**changes):
    status = run_status.build(state(**changes), generation=3, now=NOW + 60)
    RunStatus.model_validate(status)
    return status


def test_a_run_under_way():
    status = built(message="running: b")
    assert (status["phase"], status["progress"], status["message"]) == (
        "Running",
        "1/2",
        "running: b",
    )
    assert (status["observedGeneration"], status["startedAt"]) == (3, "2026-01-31T12:00:00Z")
    assert "finishedAt" not in status


def test_what_was_decided_at_the_start_stands_in_it():
    pinned = Pinned("cats", "ns", "abcdefgh2345", DIGEST, 5)
    status = built(pinned={"cats": pinned}, volumes={"a.v": VolumeRecord("Copy", "why")})
    assert status["inputs"] == {"cats": pinned.dump()}
    assert status["volumes"] == {"a.v": {"mode": "Copy", "reason": "why"}}


def test_a_run_that_failed_names_the_reason_of_the_job():
    failed = JobRecord(JobPhase.FAILED, 1, reason="ExitCode", message="m", finished_at=NOW + 9)
    status = built(ledger={"a": failed}, phase=RunPhase.FAILED, message="job a failed: m")
    succeeded = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    assert (succeeded["status"], succeeded["reason"], succeeded["message"]) == (
        "False",
        "ExitCode",
        "job a failed: m",
    )
    assert status["finishedAt"] == "2026-01-31T12:00:09Z"


def test_a_run_that_never_had_a_pod_ends_now():
    status = built(ledger={"a": JobRecord(JobPhase.CANCELLED)}, phase=RunPhase.CANCELLED)
    assert status["finishedAt"] == "2026-01-31T12:01:00Z"


def test_a_long_message_is_cut():
    assert len(built(message="x" * 9_000)["message"]) == 1_024


def test_a_run_that_can_never_start_is_refused_in_words():
    status = run_status.refused(
        {}, reason="DatasetNotFound", message="no cats", generation=1, now=NOW
    )
    RunStatus.model_validate(status)
    assert (status["phase"], status["message"]) == ("Failed", "no cats")
    conditions = {item["type"]: item["status"] for item in status["conditions"]}
    assert conditions == {
        "Accepted": "False",
        "Succeeded": "False",
        "Ready": "False",
        "Stalled": "True",
    }


RECORDED = {
    "an attempt under way": ({"phase": "Running", "attempt": 1}, make_pod(attempt=1), False),
    "an attempt that ended the job": (
        {"phase": "Succeeded", "attempt": 1},
        succeeded_pod(attempt=1),
        True,
    ),
    "an attempt that will be followed by another": (
        {"phase": "Pending", "attempt": 1},
        failed_pod(attempt=1),
        True,
    ),
    "an earlier attempt": ({"phase": "Running", "attempt": 2}, failed_pod(attempt=1), True),
    "an attempt that the status does not know": (
        {"phase": "Pending"},
        make_pod(attempt=1),
        False,
    ),
    "a later attempt": ({"phase": "Pending", "attempt": 1}, make_pod(attempt=2), False),
}


@pytest.mark.parametrize(("job", "pod", "ended"), RECORDED.values(), ids=RECORDED)
def test_a_pod_is_released_only_when_its_end_was_acknowledged(job, pod, ended):
    assert state(written={"jobs": {"a": job}}).ended(pod) is ended


def test_no_pod_before_pins_and_volumes_were_acknowledged():
    pinned = {"cats": Pinned("cats", "ns", "v", DIGEST, 5)}
    volumes = {"a.v": VolumeRecord("Copy", "why")}
    assert state().decisions_recorded
    assert not state(pinned=pinned).decisions_recorded
    assert not state(volumes=volumes, written={"inputs": {}}).decisions_recorded
    both = {"inputs": {}, "volumes": {}}
    assert state(pinned=pinned, volumes=volumes, written=both).decisions_recorded
