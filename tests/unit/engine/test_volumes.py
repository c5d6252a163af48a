"""How each volume of a run is kept, and that the reason says why."""

import pytest

from gradient_operator.api.instance_type import InstanceTypeSpec, Toleration
from gradient_operator.api.workflow import VolumePolicy
from gradient_operator.engine.model import VolumeRecord
from gradient_operator.engine.volumes import choose, users, volume_keys
from tests.builders import MACHINES, make_workflow


def tutorial(second="C5"):
    """Clone on one machine, train on another."""
    builder = make_workflow().job("clone").uses("git-checkout@v1", url="https://x/y")
    builder.makes("repo", "volume").job("train").on(second).needs("clone")
    return builder.takes("repo", "clone.outputs.repo")


def chosen(builder, *, policy=None, shared=None, types=MACHINES):
    return choose(
        builder.compile(),
        run="run",
        policy=policy or VolumePolicy(),
        instance_types=types,
        read_write_many_class=shared,
    )


def test_a_class_that_many_can_write_is_taken():
    assert chosen(tutorial("P4000"), shared="nfs") == {
        "clone.repo": VolumeRecord(
            "ReadWriteMany", "storage class nfs serves ReadWriteMany", "run-clone.repo"
        )
    }


def test_users_on_one_pool_share_a_claim_of_one_node():
    assert chosen(tutorial()) == {
        "clone.repo": VolumeRecord(
            "ReadWriteOnce", "all its users run on one pool", "run-clone.repo"
        )
    }


def test_users_on_different_pools_get_copies():
    assert chosen(tutorial("P4000")) == {
        "clone.repo": VolumeRecord(
            "Copy", "clone and train run on different pools, and no class serves ReadWriteMany"
        )
    }


def test_different_tolerations_are_different_places():
    spot = InstanceTypeSpec(
        name="Spot", node_selector={"pool": "cpu"}, tolerations=[Toleration(key="spot")]
    )
    found = chosen(tutorial("Spot"), types={**MACHINES, "Spot": spot})
    assert found["clone.repo"].mode == "Copy"


def test_a_volume_that_nobody_reads_has_one_user():
    builder = make_workflow().job("a").makes("v", "volume")
    assert chosen(builder)["a.v"].reason == "it has one user"


@pytest.mark.parametrize(
    ("mode", "claim"),
    [("ReadWriteMany", "run-clone.repo"), ("ReadWriteOnce", "run-clone.repo"), ("Copy", None)],
)
def test_the_policy_decides_alone(mode, claim):
    found = chosen(tutorial("P4000"), policy=VolumePolicy(mode=mode), shared="nfs")
    assert found == {"clone.repo": VolumeRecord(mode, "policy.volumes.mode says so", claim)}


class TestWithoutSource:
    """The legacy form: one volume that all jobs of the run write."""

    def builder(self, second="C4"):
        builder = make_workflow().job("a").takes("repo", {"type": "volume"})
        return builder.job("b").on(second).takes("repo", {"type": "volume"})

    def test_it_is_one_volume_for_the_run(self):
        assert users(self.builder().compile()) == {"workflow.repo": ("a", "b")}

    def test_it_is_never_copied_even_if_the_policy_wants_it(self):
        found = chosen(self.builder("P4000"), policy=VolumePolicy(mode="Copy"))["workflow.repo"]
        assert found.mode == "ReadWriteOnce"
        assert found.reason == (
            "a volume without a source is written by all its users, so it cannot be copied"
        )

    def test_a_job_that_is_called_as_it_was_once_keyed_is_ordinary(self):
        builder = make_workflow().job("inputs").makes("repo", "volume")
        builder.job("b").on("P4000").needs("inputs").takes("r", "inputs.outputs.repo")
        assert chosen(builder)["inputs.repo"].mode == "Copy"


def test_names_that_differ_in_case_alone_get_claims_of_their_own():
    builder = make_workflow().job("a").makes("v", "volume").job("A").makes("v", "volume")
    claims = {record.claim for record in chosen(builder).values()}
    assert len(claims) == 2


def test_a_claims_name_fits_into_a_label():
    builder = make_workflow().job("j" * 63).makes("o" * 63, "volume")
    assert all(len(record.claim) <= 63 for record in chosen(builder).values())


def test_a_job_that_takes_a_volume_and_hands_it_on_uses_both():
    builder = tutorial().makes("repo", "volume")
    assert volume_keys(builder.compile().jobs["train"]) == ("train.repo", "clone.repo")


def test_a_model_mounts_nothing():
    builder = tutorial().job("m").needs("clone").uses("create-model@v1", name="m", type="Custom")
    builder.takes("model", {"type": "dataset", "with": {"ref": "d"}})
    builder.takes("repo", "clone.outputs.repo").without("resources")
    assert users(builder.compile()) == {"clone.repo": ("clone", "train")}
