"""The phase of a run, and the one sentence about it."""

import pytest

from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.engine.verdict import progress, run_phase, summary

P = JobPhase


def ledger(**phases):
    return {name: JobRecord(phase=phase) for name, phase in phases.items()}


@pytest.mark.parametrize(
    ("phases", "cancel", "phase"),
    [
        ([P.PENDING], False, RunPhase.RUNNING),
        ([P.SUCCEEDED, P.UPLOADING], False, RunPhase.RUNNING),
        ([P.FAILED, P.RUNNING], False, RunPhase.RUNNING),
        ([P.SUCCEEDED, P.SUCCEEDED], False, RunPhase.SUCCEEDED),
        ([P.SUCCEEDED, P.FAILED, P.OMITTED], False, RunPhase.FAILED),
        ([P.FAILED, P.CANCELLED], True, RunPhase.FAILED),
        ([P.SUCCEEDED, P.CANCELLED], True, RunPhase.CANCELLED),
        ([P.CANCELLED, P.OMITTED], True, RunPhase.CANCELLED),
        ([P.SUCCEEDED], True, RunPhase.SUCCEEDED),
    ],
    ids=[
        "nothing has happened",
        "an upload is left",
        "an independent branch goes on after a failure",
        "all went well",
        "one failed",
        "one failed before the cancel",
        "cancelled half way",
        "cancelled at once",
        "cancelled too late",
    ],
)
def test_a_run_ends_with_its_last_job(phases, cancel, phase):
    jobs = {str(index): JobRecord(phase=each) for index, each in enumerate(phases)}
    assert run_phase(jobs, cancel=cancel) is phase


SENTENCES = {
    "what failed comes first": (
        {
            "a": JobRecord(phase=P.RUNNING),
            "b": JobRecord(phase=P.FAILED, message="exit code 3"),
            "c": JobRecord(phase=P.PENDING, message="no node fits"),
        },
        "job b failed: exit code 3",
    ),
    "others that failed are counted": (
        {name: JobRecord(phase=P.FAILED, reason="PodLost") for name in "abc"},
        "job a failed: PodLost (and 2 more failed)",
    ),
    "then what waits": (
        {
            "a": JobRecord(phase=P.RUNNING),
            "b": JobRecord(phase=P.PENDING, message="no node fits"),
            "c": JobRecord(phase=P.STARTING, message="no such image"),
        },
        "job b waits: no node fits (and 1 more wait)",
    ),
    "a failure that is tried again is no wait": (
        {"a": JobRecord(phase=P.PENDING, attempt=1, retry_at=9.0, message="exit code 1")},
        "job a is tried again: exit code 1",
    ),
    "then what runs": (
        {"a": JobRecord(phase=P.SUCCEEDED), **ledger(b=P.RUNNING, c=P.UPLOADING, d=P.PENDING)},
        "running: b and 1 more",
    ),
    "of a run that is over nothing is to be said": (ledger(a=P.SUCCEEDED, b=P.SUCCEEDED), ""),
}


@pytest.mark.parametrize(("jobs", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_one_sentence_says_what_matters_most(jobs, sentence):
    assert summary(jobs) == sentence


def test_progress_counts_what_has_ended():
    assert progress(ledger(a=P.SUCCEEDED, b=P.FAILED, c=P.OMITTED, d=P.UPLOADING)) == "3/4"
