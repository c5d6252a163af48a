"""A matrix in the tables: one line for all of it, and its combinations below."""

from gradient_operator.cli.output.graph import lines
from gradient_operator.cli.output.run_tables import remark
from gradient_operator.cli.output.run_view import run_view
from tests.builders import make_workflow
from tests.unit.cli.fake import run_object


def sweep():
    builder = make_workflow().job("data").job("train").needs("data").put("retries", 2)
    builder.put("strategy", {"matrix": {"rate": [0.1, 5], "opt": ["adam"]}}).makes("o", "string")
    return builder.job("best").needs("train").takes("all", "train.outputs.o").data()


def shown(jobs=None, definition=None):
    return run_view(run_object(phase="Running", jobs=jobs, definition=definition or sweep()))


def drawn(run):
    return [f"{line.branch}{line.job.name} {line.job.phase}" for line in lines(run.jobs)]


def test_the_combinations_stand_below_their_job_and_what_needs_it_after_them():
    jobs = {
        "data": {"phase": "Succeeded"},
        "train-adam-0.1": {"phase": "Running"},
        "train-adam-5": {"phase": "Failed"},
    }
    assert drawn(shown(jobs)) == [
        "data Succeeded",
        "└─ train Running",
        "   ├─ train-adam-0.1 Running",
        "   ├─ train-adam-5 Failed",
        "   └─ best Pending",
    ]


def test_each_has_its_values_its_machine_and_its_attempts():
    state = {"phase": "Running", "attempt": 2, "userFailures": 1}
    job = next(job for job in shown({"train-adam-5": state}).jobs if job.name == "train-adam-5")
    assert (job.base, dict(job.values)) == ("train", {"rate": "5", "opt": "adam"})
    assert (job.needs, job.instance_type) == (("data",), "C4")
    assert remark(job, 0.0) == "attempt 2 of 3"
    state |= {"memoryFailures": 1, "memory": "4096Mi"}
    job = next(job for job in shown({"train-adam-5": state}).jobs if job.name == "train-adam-5")
    assert remark(job, 0.0) == "attempt 2 of 4, with 4096Mi of memory"


def test_the_line_for_all_says_how_many_succeeded():
    phases = {"train-adam-0.1": {"phase": "Succeeded"}, "train-adam-5": {"phase": "Failed"}}
    whole = next(line.job for line in lines(shown(phases).jobs) if line.job.name == "train")
    assert (whole.phase, whole.message) == ("Failed", "1 of 2 combinations succeeded")


def test_a_definition_that_cannot_be_read_is_shown_by_its_status():
    broken = {"jobs": {"train": {"strategy": {"matrix": 5}}}}
    run = shown({"train-1": {"phase": "Failed"}}, broken)
    assert [job.name for job in run.jobs] == ["train", "train-1"]
