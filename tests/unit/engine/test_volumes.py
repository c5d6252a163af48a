"""How each volume of a run is kept, and that the reason says why."""

import pytest

from gradient_operator.api.instance_type import InstanceTypeSpec, Toleration
from gradient_operator.api.workflow import VolumePolicy
from gradient_operator.engine.model import JobPhase, JobRecord, VolumeRecord
from gradient_operator.engine.volumes import (
    choose,
    claim_users,
    placed,
    unused_claims,
    users,
    volume_keys,
)
from tests.builders import MACHINES, done_job, make_workflow


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


def test_a_class_of_the_policy_is_not_taken_for_one_that_many_can_write():
    found = chosen(tutorial(), policy=VolumePolicy(storage_class="fast"), shared="nfs")
    assert found["clone.repo"].mode == "ReadWriteOnce"
    found = chosen(tutorial(), policy=VolumePolicy(storage_class="nfs"), shared="nfs")
    assert found["clone.repo"].mode == "ReadWriteMany"


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


def machine(name, selector, *tolerations):
    keys = [Toleration(key=key) for key in tolerations]
    return InstanceTypeSpec(name=name, node_selector=selector, tolerations=keys)


ANYWHERE = machine("Any", {})
TAINTED = machine("Gpu", {"pool": "gpu"}, "nvidia.com/gpu")
MERGEABLE = {**MACHINES, "C4": ANYWHERE, "Gpu": TAINTED}


class TestMerged:
    """Selectors of which one holds all that the others ask for."""

    def test_one_claim_serves_them(self):
        found = chosen(tutorial("Gpu"), types=MERGEABLE)["clone.repo"]
        assert (found.mode, found.reason) == (
            "ReadWriteOnce",
            "all its users can run where train must",
        )

    def test_all_run_where_the_narrowest_must_and_tolerate_what_it_does(self):
        workflow = tutorial("Gpu").compile()
        volumes = chosen(tutorial("Gpu"), types=MERGEABLE)
        for name in ("clone", "train"):
            found = placed(MERGEABLE[workflow.jobs[name].instance_type], self.others(volumes))
            assert found.node_selector == {"pool": "gpu"}
            assert [one.key for one in found.tolerations] == ["nvidia.com/gpu"]
            assert found.name == MERGEABLE[workflow.jobs[name].instance_type].name

    def others(self, volumes):
        workflow = tutorial("Gpu").compile()
        (jobs,) = claim_users(workflow, volumes).values()
        return [MERGEABLE[workflow.jobs[job].instance_type] for job in jobs]

    def test_tolerations_alone_part_nobody(self):
        spot = machine("Spot", {"pool": "cpu"}, "spot")
        found = chosen(tutorial("Spot"), types={**MACHINES, "Spot": spot})
        assert found["clone.repo"].reason == "all its users run on one pool"

    def test_selectors_that_no_node_may_have_together_are_not_merged(self):
        types = {"C4": machine("C4", {"cpu": "yes"}), "Gpu": machine("Gpu", {"gpu": "yes"})}
        assert chosen(tutorial("Gpu"), types=types)["clone.repo"].mode == "Copy"

    def test_a_copy_moves_nobody(self):
        assert claim_users(tutorial("P4000").compile(), chosen(tutorial("P4000"))) == {}
        assert placed(MACHINES["C4"], []) == MACHINES["C4"]

    def test_a_type_that_changes_while_the_run_goes_on_leaves_jobs_where_they_say(self):
        moved = machine("C5", {"pool": "moved"})
        assert placed(MACHINES["C4"], [moved, None]) == MACHINES["C4"]


class TestMeeting:
    """Volumes that one job uses must be reachable from one node."""

    def builder(self, *, last="C5"):
        builder = make_workflow()
        for name in ("a", "b"):
            builder.job(name).makes("v", "volume")
        builder.job("both").on(last).needs("a", "b")
        return builder.takes("x", "a.outputs.v").takes("y", "b.outputs.v")

    def test_they_are_folders_of_one_claim(self):
        found = chosen(self.builder())
        assert {key: (one.claim, one.folder) for key, one in found.items()} == {
            "a.v": ("run-a.v", "a.v"),
            "b.v": ("run-a.v", "b.v"),
        }
        assert found["b.v"].reason == (
            "all its users run on one pool; one claim with a.v, as both uses both"
        )

    def test_volumes_that_never_meet_keep_claims_of_their_own(self):
        builder = make_workflow().job("a").makes("v", "volume").job("b").makes("v", "volume")
        assert {one.folder for one in chosen(builder).values()} == {None}

    def test_they_meet_by_way_of_a_third_one(self):
        builder = self.builder()
        builder.job("c").makes("v", "volume").job("d").needs("c", "both")
        builder.takes("z", "c.outputs.v").takes("x", "a.outputs.v")
        assert {one.claim for one in chosen(builder).values()} == {"run-a.v"}

    def test_where_one_node_cannot_serve_all_of_them_they_are_copied(self):
        types = {**MACHINES, "C4": ANYWHERE}
        builder = self.builder(last="C4")
        builder.job("on-cpu").on("C5").needs("a").takes("x", "a.outputs.v")
        builder.job("on-gpu").on("P4000").needs("b").takes("y", "b.outputs.v")
        found = chosen(builder, types=types)
        assert {one.mode for one in found.values()} == {"Copy"}
        assert found["a.v"].reason == (
            "on-cpu and on-gpu run on different pools, and no class serves ReadWriteMany"
        )

    def test_the_policy_for_one_node_puts_them_into_one_claim_too(self):
        found = chosen(self.builder(), policy=VolumePolicy(mode="ReadWriteOnce"))
        assert {one.claim for one in found.values()} == {"run-a.v"}

    def test_a_class_that_many_can_write_needs_no_folders(self):
        assert {one.folder for one in chosen(self.builder(), shared="nfs").values()} == {None}


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


class TestUnused:
    """A claim goes when its last user has ended for good."""

    def unused(self, **records):
        found = claim_users(tutorial().compile(), chosen(tutorial()))
        return unused_claims(found, records)

    def test_it_is_used_while_one_may_still_start(self):
        assert self.unused(clone=done_job(), train=JobRecord()) == set()

    def test_it_is_used_while_one_will_be_tried_again(self):
        again = JobRecord(attempt=1, phase=JobPhase.PENDING, retry_at=5.0)
        assert self.unused(clone=done_job(), train=again) == set()

    def test_all_have_ended(self):
        failed = JobRecord(attempt=1, phase=JobPhase.FAILED)
        assert self.unused(clone=done_job(), train=failed) == {"run-clone.repo"}

    def test_one_whose_pod_was_refused_until_the_run_was_cancelled(self):
        cancelled = JobRecord(phase=JobPhase.CANCELLED)
        assert self.unused(clone=cancelled, train=cancelled) == {"run-clone.repo"}

    def test_one_that_was_never_made_is_no_concern(self):
        omitted = JobRecord(phase=JobPhase.OMITTED)
        assert self.unused(clone=omitted, train=omitted) == set()
