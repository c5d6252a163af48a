"""Which jobs a rerun takes over."""

from gradient_operator.engine.model import JobPhase, JobRecord, OutputRecord, VolumeRecord
from gradient_operator.engine.rerun import adopt, unknown
from tests.builders import DIGEST, make_workflow

P = JobPhase
DONE = JobRecord(P.SUCCEEDED, attempt=2, pod="p", node="n", started_at=1.0, finished_at=2.0)
BAD = JobRecord(P.FAILED, attempt=1, reason="ExitCode")
COPY = VolumeRecord("Copy", "")
CLAIM = VolumeRecord("ReadWriteOnce", "", "c")


def chain(*names):
    builder = make_workflow()
    for before, name in zip((None, *names), names, strict=False):
        builder.job(name)
        if before is not None:
            builder.needs(before)
    return builder


def taken(builder, before, *, volumes=None, again=()):
    records = {name: JobRecord() for name in builder.compile().jobs} | before
    return adopt(builder.compile(), records, run="old", volumes=volumes or {}, again=again)


def with_volume():
    """`clone` fills a volume, `train` takes it; `other` has nothing to do with it."""
    builder = make_workflow().job("clone").makes("repo", "volume").job("other")
    return builder.job("train").takes("repo", "clone.outputs.repo")


def test_what_succeeded_is_taken_over_with_its_outputs_and_their_source():
    outputs = {"o": OutputRecord(value="7")}
    done = JobRecord(P.SUCCEEDED, attempt=2, pod="p", node="n", outputs=outputs)
    found = taken(chain("a", "b"), {"a": done, "b": BAD})
    assert found == {
        "a": JobRecord(
            P.SUCCEEDED,
            reason="Adopted",
            message="taken over from old/a: it did not run again",
            outputs=outputs,
            source="old/a",
        )
    }


def test_a_job_that_was_taken_over_before_keeps_its_first_source():
    found = taken(chain("a", "b"), {"a": JobRecord(P.SUCCEEDED, source="oldest/a"), "b": BAD})
    assert found["a"].source == "oldest/a"


def test_what_comes_after_a_job_that_runs_again_runs_again():
    # `a` failed and its failure was borne, so the others succeeded.
    assert set(taken(chain("a", "b", "c"), {"a": BAD, "b": DONE, "c": DONE})) == set()


def test_a_job_that_is_named_runs_again_with_all_after_it():
    before = dict.fromkeys("abc", DONE)
    assert set(taken(chain("a", "b", "c"), before, again=("b",))) == {"a"}


def test_the_name_of_a_matrix_means_all_its_combinations():
    builder = make_workflow().job("a").job("m").put("strategy", {"matrix": {"x": [1, 2]}})
    names = builder.compile().jobs
    assert set(taken(builder, dict.fromkeys(names, DONE), again=("m",))) == {"a"}
    assert unknown(builder.compile(), ["m", "a", "z"]) == ["z"]


def test_skipped_omitted_and_cancelled_jobs_run():
    for phase in (P.SKIPPED, P.OMITTED, P.CANCELLED, P.PENDING):
        assert set(taken(chain("a", "b"), {"a": DONE, "b": JobRecord(phase)})) == {"a"}


def test_a_volume_that_only_a_claim_held_is_filled_again():
    before = {"clone": DONE, "other": DONE, "train": BAD}
    for volumes in ({"clone.repo": CLAIM}, {}):
        assert set(taken(with_volume(), before, volumes=volumes)) == {"other"}


def test_a_volume_that_nobody_needs_again_is_not():
    before = {"clone": DONE, "other": BAD, "train": DONE}
    assert set(taken(with_volume(), before, volumes={"clone.repo": CLAIM})) == {"clone", "train"}


def test_the_copy_of_a_volume_is_taken_over():
    copied = JobRecord(P.SUCCEEDED, outputs={"repo": OutputRecord(digest=DIGEST)})
    before = {"clone": copied, "other": DONE, "train": BAD}
    found = taken(with_volume(), before, volumes={"clone.repo": COPY})
    assert set(found) == {"clone", "other"}
    assert found["clone"].outputs["repo"].digest == DIGEST


def test_a_volume_that_was_a_claim_before_is_no_copy_now():
    before = {"clone": DONE, "other": DONE, "train": BAD}
    assert set(taken(with_volume(), before, volumes={"clone.repo": COPY})) == {"other"}
