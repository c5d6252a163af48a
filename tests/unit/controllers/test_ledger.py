"""The ledger in a run's status: nothing gets lost, and a thousand jobs fit."""

import json
from dataclasses import replace

import pytest

from gradient_operator.api.run import RunStatus
from gradient_operator.controllers.ledger import (
    FAILURE_MESSAGE_LIMIT,
    WAIT_MESSAGE_LIMIT,
    cut,
    dump_jobs,
    dump_volumes,
    load_jobs,
    load_volumes,
)
from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, VolumeRecord
from tests.builders import DIGEST

FULL = JobRecord(
    phase=JobPhase.SUCCEEDED,
    attempt=2,
    user_failures=1,
    infra_failures=1,
    memory_failures=2,
    memory="4096Mi",
    pod="train-clone-2-abcdefgh",
    pod_uid="0f8fad5b-d9cb-469f-a165-70867728950e",
    node="cpu-1",
    ready_at=1_769_860_800.0,
    started_at=1_769_860_801.0,
    finished_at=1_769_860_802.0,
    retry_at=1_769_860_803.0,
    reason="Reason",
    message="a sentence",
    exit_code=0,
    outputs={
        "model": OutputRecord(digest=DIGEST, bytes=5, files=2, version="cats:abcdefgh2345"),
        "copy": OutputRecord(digest=DIGEST, bytes=0, files=0),
        "short": OutputRecord(value=""),
        "long": OutputRecord(ref="runs/uid/result.json"),
    },
)


def load(ledger):
    """Through JSON and the schema of the CRD."""
    status = {"jobs": json.loads(json.dumps(dump_jobs(ledger)))}
    RunStatus.model_validate(status)
    return load_jobs(status)


@pytest.mark.parametrize("phase", JobPhase)
def test_what_is_written_is_read_again(phase):
    # Which Pod it was exactly matters only until the job is over.
    uid = None if phase.final else FULL.pod_uid
    ledger = {"a": replace(FULL, phase=phase, pod_uid=uid), "b": JobRecord(phase=phase)}
    assert load(ledger) == ledger


def test_times_are_kept_to_the_second():
    assert load({"a": JobRecord(ready_at=5.9)})["a"].ready_at == 5.0


def test_nothing_is_said_of_a_job_that_has_not_begun():
    assert dump_jobs({"a": JobRecord()}) == {"a": {"phase": "Pending"}}


def test_volumes_are_written_and_read():
    volumes = {
        "a.v": VolumeRecord("ReadWriteOnce", "why", "claim"),
        "b.v": VolumeRecord("Copy", "why"),
    }
    dumped = json.loads(json.dumps(dump_volumes(volumes)))
    assert load_volumes({"volumes": dumped}) == volumes


def ordinary(number):
    """A job as nearly all of them are: one attempt, no message, no output."""
    return JobRecord(
        phase=JobPhase.SUCCEEDED,
        attempt=1,
        pod=f"train-stylegan-prepare-{number:04}-1-abcdefgh",
        pod_uid="0f8fad5b-d9cb-469f-a165-70867728950e",
        node="ip-10-0-123-45.ec2.internal",
        ready_at=1_769_860_800.0,
        started_at=1_769_860_801.0,
        finished_at=1_769_860_802.0,
        exit_code=0,
    )


def size(ledger):
    return len(json.dumps(dump_jobs(ledger), separators=(",", ":")))


def test_an_ordinary_job_takes_a_quarter_of_a_kilobyte():
    jobs = {f"job-{number:04}": ordinary(number) for number in range(1_000)}
    assert size(jobs) / 1_000 <= 250


@pytest.mark.parametrize("phase", JobPhase)
def test_a_thousand_jobs_fit_whatever_they_say(phase):
    said = {"reason": "ImagePullFailed", "message": "m" * 5_000, "finished_at": None}
    jobs = {
        f"job-{number:04}": replace(ordinary(number), phase=phase, **said)
        for number in range(1_000)
    }
    assert size(jobs) < 512 * 1_024


@pytest.mark.parametrize(
    ("phase", "lengths"),
    [
        (JobPhase.FAILED, [FAILURE_MESSAGE_LIMIT] * 20 + [WAIT_MESSAGE_LIMIT] * 100 + [160] * 5),
        (JobPhase.STARTING, [WAIT_MESSAGE_LIMIT] * 100 + [160] * 25),
    ],
)
def test_the_first_messages_are_told_in_full(phase, lengths):
    jobs = {str(number): JobRecord(phase=phase, message="x" * 5_000) for number in range(125)}
    assert [len(job["message"]) for job in dump_jobs(jobs).values()] == lengths


@pytest.mark.parametrize("limit", [WAIT_MESSAGE_LIMIT, FAILURE_MESSAGE_LIMIT])
def test_a_cut_text_has_its_beginning_and_its_end(limit):
    text = "begin" + "x" * 5_000 + "end"
    assert len(cut(text, limit)) == limit
    assert cut(text, limit).startswith("begin")
    assert cut(text, limit).endswith("end")


@pytest.mark.parametrize("text", [None, "", "short", "x" * 10])
def test_a_short_text_stays_as_it_is(text):
    assert cut(text, 10) == text
