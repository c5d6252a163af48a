"""What is valid and yet is not what its author meant."""

from tests.builders import make_workflow


def writer(builder, name, *needs):
    return builder.job(name).needs(*needs).makes("d", "dataset", "cats")


def reader(builder, name, *needs, ref="cats"):
    source = {"type": "dataset", "with": {"ref": ref}}
    return builder.job(name).needs(*needs).takes("d", source)


def said(builder):
    return [str(problem) for problem in builder.problems()]


def test_two_jobs_that_write_one_dataset_at_the_same_time():
    builder = writer(writer(make_workflow(), "a"), "b")
    assert said(builder) == [
        (
            "jobs.b.outputs.d: goes to dataset 'cats', as does an output of 'a' at the same time: "
            "the last to end makes the latest version. Name two datasets, or add a need"
        )
    ]


def test_one_after_the_other_is_fine():
    builder = writer(make_workflow(), "a").job("between").needs("a")
    assert said(writer(builder, "b", "between")) == []


def test_an_input_that_is_older_than_its_author_thinks():
    builder = writer(make_workflow(), "train").job("between").needs("train")
    assert said(reader(builder, "deploy", "between")) == [
        (
            "jobs.deploy.inputs.d: is read as it was before the run, though 'train' makes a new "
            "version: to use that one write train.outputs.d"
        )
    ]


def test_reading_what_another_branch_writes_at_the_same_time_is_noticed():
    (sentence,) = said(reader(writer(make_workflow(), "a"), "b"))
    assert "while 'a' makes a new version at the same time" in sentence


def test_reading_before_a_later_job_writes_is_fine():
    builder = reader(make_workflow(), "b")
    assert said(writer(builder, "a", "b")) == []


def test_the_old_version_in_and_the_new_one_out_is_fine():
    builder = reader(make_workflow(), "a").makes("d", "dataset", "cats")
    assert said(builder) == []


def test_a_version_that_is_named_is_meant():
    assert said(reader(writer(make_workflow(), "a"), "b", "a", ref="cats:v1")) == []


def test_a_timeout_has_no_effect():
    builder = make_workflow(timeout=5).job("a", timeout=1)
    assert said(builder) == [
        "timeout: has no effect: write timeout-minutes in the job",
        "jobs.a.timeout: has no effect: write timeout-minutes in the job",
    ]


def test_a_thousand_writers_are_told_within_a_moment():
    builder = make_workflow()
    for number in range(1_000):
        writer(builder, f"j{number}")
    assert 0 < len(said(builder)) < 64
