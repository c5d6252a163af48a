"""A job that failed because a disk was full says which, as far as its last lines tell."""

import pytest

from gradient_operator.api.workflow import Policy, VolumePolicy
from gradient_operator.engine.full_disk import explain
from gradient_operator.engine.model import Failure, FailureClass, VolumeRecord
from tests.builders import make_observation, make_workflow

FULL = "No space left on device"


def explained(log, *, mode="ReadWriteOnce", reason="ExitCode", volume=True):
    builder = make_workflow().job("a").makes("work", "volume").makes("work-2", "volume")
    builder.job("b").needs("a").makes("d", "dataset", "d")
    if volume:
        builder.takes("w", "a.outputs.work")
    workflow = builder.compile()
    claim = None if mode == "Copy" else "c"
    seen = make_observation(
        workflow,
        policy=Policy(volumes=VolumePolicy(size="2Gi")),
        volumes={
            "a.work": VolumeRecord(mode, "because", claim, "a.work"),
            "a.work-2": VolumeRecord(mode, "because", claim, "a.work-2"),
        },
    )
    failure = Failure(FailureClass.USER, reason, f"exit code 1: {log}", 1)
    found = explain(failure, workflow.jobs["b"], seen)
    assert (found.kind, found.exit_code) == (FailureClass.USER, 1)
    assert found.message.endswith(f"exit code 1: {log}"), "the job's own words stay"
    return found


@pytest.mark.parametrize(
    "line",
    [
        f"cp: error writing '/inputs/w/big': {FULL}",
        f"OSError: [Errno 28] {FULL}: '/inputs/w/big'",
        'Os { code: 28, kind: StorageFull, message: "no space left on device" } /inputs/w',
        "Error: ENOSPC: no space left on device, write '/inputs/w/x'",
        "dd: error writing '/inputs/w/x': Disk quota exceeded",
    ],
)
def test_the_volume_that_is_full_is_named_with_size_and_remedy(line):
    found = explained(f"epoch 1\n{line}\ncleaning up")
    assert found.reason == "VolumeFull"
    assert found.message.startswith(
        "the volume at /inputs/w is full: its claim asks for 4Gi, set policy.volumes.size to more"
    ), "two volumes share the claim"


def test_a_message_without_a_path_only_suspects_the_volume():
    found = explained(f"bash: line 3: echo: write error: {FULL}")
    assert found.reason == "DiskFull"
    assert "perhaps its volume /inputs/w (4Gi)" in found.message
    assert "policy.volumes.size" in found.message


@pytest.mark.parametrize("how", [{"mode": "Copy"}, {"volume": False}], ids=["copy", "no volume"])
def test_without_a_claim_it_is_the_disk_of_the_node(how):
    found = explained(f"cp: error writing '/inputs/w/big': {FULL}", **how)
    assert found.reason == "DiskFull"
    assert found.message.startswith("the disk of its node was full: ")


def test_a_path_that_only_begins_alike_is_another_place():
    assert explained(f"cp: '/inputs/w-2/x': {FULL}").reason == "DiskFull"


@pytest.mark.parametrize(
    ("log", "reason"), [("no such file", "ExitCode"), (FULL, "OutOfMemory")], ids=str
)
def test_other_failures_are_left_as_they_are(log, reason):
    assert explained(log, reason=reason).reason == reason
