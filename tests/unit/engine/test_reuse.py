"""When a job takes the result of an earlier run: the key, and what the planner makes of it."""

import pytest

from gradient_operator.api.policy import JobPolicy
from gradient_operator.api.workflow import Policy
from gradient_operator.engine.actions import CreatePod, FindResult
from gradient_operator.engine.model import Found, JobPhase, JobRecord, OutputRecord
from gradient_operator.engine.planner import plan
from gradient_operator.engine.reuse import key_of
from tests.builders import DIGEST, make_observation, make_pod, make_workflow, succeeded_pod

IMAGE = f"python@sha256:{DIGEST}"
ON = Policy(reuse=True)
TAGS = Policy(reuse=True, reuse_image_tags=True)
DATA = {"type": "dataset", "with": {"ref": "cats"}}
NOW = 1_000.0


def builder(*, image=IMAGE, script="true", **with_):
    return make_workflow().job("a").uses("script@v1", image=image, script=script, **with_)


def key(made, *, policy=ON, pinned=None, ledger=None, job="a"):
    return key_of(
        made.compile().jobs[job],
        policy=policy,
        default_image="bash:5",
        pinned=pinned or {},
        ledger=ledger or {},
    )


def test_the_same_job_has_the_same_key():
    assert key(builder()) == key(builder())
    assert len(key(builder())) == 32


CHANGES = {
    "script": lambda: builder(script="false"),
    "image": lambda: builder(image=f"python@sha256:{DIGEST[::-1]}"),
    "environment": lambda: builder().env(X="1"),
    "secret": lambda: builder().env(X="secret:KEY"),
    "machine": lambda: builder().on("P4000"),
    "string": lambda: builder().takes("s", {"type": "string", "with": {"value": "1"}}),
    "dataset": lambda: builder().takes("d", DATA),
    "output": lambda: builder().makes("o", "string"),
    "dataset of an output": lambda: builder().makes("o", "dataset", "cats"),
}


def test_whatever_changes_what_a_job_does_changes_its_key():
    keys = [
        key(builder()),
        *(key(change(), pinned={"cats": DIGEST}) for change in CHANGES.values()),
    ]
    assert len(set(keys)) == len(keys)
    assert None not in keys


def test_another_version_of_an_input_is_another_key():
    made = builder().takes("d", DATA)
    assert key(made, pinned={"cats": "1" * 64}) != key(made, pinned={"cats": "2" * 64})


def test_what_a_job_before_made_is_part_of_the_key():
    made = builder().makes("o", "string").job("b")
    made.uses("script@v1", image=IMAGE, script="true").takes("s", "a.outputs.o")

    def with_value(value):
        outputs = {"o": OutputRecord(value=value)}
        return key(made, job="b", ledger={"a": JobRecord(JobPhase.SUCCEEDED, outputs=outputs)})

    assert with_value("1") == with_value("1") != with_value("2")
    long = {"a": JobRecord(JobPhase.SUCCEEDED, outputs={"o": OutputRecord(ref="runs/u/o")})}
    assert key(made, job="b", ledger=long) is None, "its text stands in object storage only"


UNTOLD = {
    "an image by its tag": lambda: builder(image="python:3.12"),
    "a volume": lambda: builder().makes("v", "volume"),
    "a download": lambda: make_workflow().job("a").uses("s3-download@v1", url="s3://b/p").makes(
        "o", "dataset", "d"
    ),
    "a branch": lambda: make_workflow().job("a").uses(
        "git-checkout@v1", url="https://example.org/r", ref="main"
    ).makes("o", "dataset", "d"),
}  # fmt: skip


@pytest.mark.parametrize("made", UNTOLD.values(), ids=UNTOLD)
def test_what_cannot_be_told_beforehand_has_no_key(made):
    assert key(made()) is None


def test_a_commit_tells_what_is_checked_out():
    made = make_workflow().job("a").uses(
        "git-checkout@v1", url="https://example.org/r", ref="a" * 40
    )  # fmt: skip
    assert key(made.makes("o", "dataset", "d")) is not None


def look(made, *pods, policy=ON, **changes):
    return plan(make_observation(made.compile(), *pods, policy=policy, **changes), NOW)


def test_without_the_policy_nothing_is_looked_for():
    assert look(builder(), policy=Policy()).actions == (CreatePod("a", 1),)


def test_a_job_can_be_taken_out_or_in():
    out = Policy(reuse=True, jobs={"a": JobPolicy(reuse=False)})
    assert look(builder(), policy=out).actions == (CreatePod("a", 1),)
    only = Policy(jobs={"a": JobPolicy(reuse=True)})
    assert look(builder(), policy=only).actions == (FindResult("a", key(builder())),)


def test_nothing_found_means_run_and_remember_the_key():
    found = look(builder(), found={"a": None})
    assert found.actions == (CreatePod("a", 1),)
    ledger = found.ledger
    assert ledger["a"].key == key(builder())
    for pod in (make_pod(), succeeded_pod()):
        ledger = look(builder(), pod, ledger=ledger).ledger
    assert (ledger["a"].phase, ledger["a"].key) == (JobPhase.SUCCEEDED, key(builder()))


def test_a_result_that_was_found_is_taken_with_the_reason():
    outputs = {"o": OutputRecord(value="7")}
    made = builder().makes("o", "string").job("b").needs("a")
    found = look(made, found={"a": Found("old/x", outputs)})
    record = found.ledger["a"]
    assert (record.phase, record.reason, record.source) == (
        JobPhase.SUCCEEDED,
        "Reused",
        "old/x",
    )
    assert record.message == "reused from old/x: same spec, image and inputs"
    assert record.outputs == outputs
    assert found.actions == (CreatePod("b", 1),)


def test_an_image_by_its_tag_is_said_to_be_one():
    found = look(builder(image="python:3"), policy=TAGS, found={"a": Found("old/a", {})})
    assert "image python:3 by its tag: it may have moved since" in found.ledger["a"].message
