"""What each input of a job comes to when its Pod is made."""

import pytest

from gradient_operator.api.workflow import Policy, VolumePolicy
from gradient_operator.controllers.inputs import claims_of, fetched_versions, resolve_inputs
from gradient_operator.controllers.pinning import Pinned
from gradient_operator.engine.model import OutputRecord, VolumeRecord
from gradient_operator.pods.request import (
    ClaimedInput,
    FetchedInput,
    StoredString,
    StringValue,
)
from tests.builders import DIGEST, done_job, make_workflow

VERSION = OutputRecord(digest=DIGEST, bytes=7, files=1)
CLAIM = VolumeRecord("ReadWriteOnce", "", "claim")
STRICT = Policy(volumes=VolumePolicy(read_only_inputs=True))


def handed_on(kind, output, *, volume=None, policy=None):
    """One input that comes from the output of another job."""
    builder = make_workflow().job("a").makes("o", kind, "cats" if kind == "dataset" else None)
    job = builder.job("b").needs("a").takes("i", "a.outputs.o").compile().jobs["b"]
    return resolve_inputs(
        job,
        ledger={"a": done_job(outputs={} if output is None else {"o": output})},
        pinned={},
        volumes={"a.o": volume} if volume else {},
        policy=policy or Policy(),
    )


@pytest.mark.parametrize(
    ("kind", "output", "volume", "found"),
    [
        ("dataset", VERSION, None, FetchedInput("i", DIGEST, 7)),
        ("string", OutputRecord(value="x"), None, StringValue("i", "x")),
        ("string", OutputRecord(ref="runs/u/r"), None, StoredString("i", "runs/u/r", "o")),
        ("string", None, None, StringValue("i", "")),
        ("volume", None, CLAIM, ClaimedInput("i", "claim")),
        (
            "volume",
            VERSION,
            VolumeRecord("Copy", ""),
            FetchedInput("i", DIGEST, 7, writable=True),
        ),
    ],
    ids=["dataset", "string", "long string", "string never written", "claim", "copy"],
)
def test_an_output_is_handed_on(kind, output, volume, found):
    assert handed_on(kind, output, volume=volume) == (found,)


def test_strict_volumes_are_read_only_in_both_forms():
    assert handed_on("volume", None, volume=CLAIM, policy=STRICT) == (
        ClaimedInput("i", "claim", read_only=True),
    )
    copied = handed_on("volume", VERSION, volume=VolumeRecord("Copy", ""), policy=STRICT)
    assert copied == (FetchedInput("i", DIGEST, 7, writable=False),)


def test_a_shared_volume_stays_writable_even_then():
    job = make_workflow().job("a").takes("v", {"type": "volume"}).compile().jobs["a"]
    found = resolve_inputs(job, ledger={}, pinned={}, volumes={"workflow.v": CLAIM}, policy=STRICT)
    assert found == (ClaimedInput("v", "claim", read_only=False),)


def test_a_dataset_is_the_version_that_was_pinned():
    builder = make_workflow().job("a").takes("d", {"type": "dataset", "with": {"ref": "cats"}})
    pinned = {"cats": Pinned("cats", "ns", "abcdefgh2345", DIGEST, 7)}
    found = resolve_inputs(
        builder.compile().jobs["a"], ledger={}, pinned=pinned, volumes={}, policy=Policy()
    )
    assert found == (FetchedInput("d", DIGEST, 7),)


def test_a_job_mounts_the_claims_of_its_inputs_and_outputs():
    builder = make_workflow().job("a").makes("o", "volume").job("b").needs("a")
    builder.takes("i", "a.outputs.o").makes("p", "volume").makes("q", "volume")
    volumes = {
        "a.o": CLAIM,
        "b.p": VolumeRecord("ReadWriteMany", "", "other"),
        "b.q": VolumeRecord("Copy", ""),
    }
    assert set(claims_of(builder.compile().jobs["b"], volumes)) == {"claim", "other"}


def test_what_a_job_gets_copies_of_need_not_be_sent_again_copied_volumes_first():
    found = [
        FetchedInput("data", "d" * 64, 100),
        StringValue("lr", "0.1"),
        FetchedInput("work", "a" * 64, 10, writable=True),
        FetchedInput("again", "d" * 64, 100),
        ClaimedInput("held", "claim"),
    ]
    assert fetched_versions(found) == ("a" * 64, "d" * 64)
