"""What `gradient show` and `gradient runs` say about fixed statuses."""

import io
import json

import pytest
from rich.console import Console

from gradient_operator.api.times import parse_time
from gradient_operator.cli.output.console import emit, safe
from gradient_operator.cli.output.details import details
from gradient_operator.cli.output.run_json import run_details
from gradient_operator.cli.output.run_tables import jobs_table, runs_table
from gradient_operator.cli.output.run_view import run_view
from tests.unit.cli.fake import run_object

NOW = parse_time("2026-01-31T12:10:00Z")
DEFINITION = {
    "defaults": {"resources": {"instance-type": "C4"}},
    "jobs": {
        "Report": {"needs": ["Train"], "uses": "script@v1"},
        "Train": {
            "inputs": {"data": "Prepare.outputs.data"},
            "resources": {"instance-type": "A100"},
            "outputs": {
                "model": {"type": "dataset", "with": {"ref": "digits-model"}},
                "score": {"type": "string"},
                "log": {"type": "string"},
            },
        },
        "Prepare": {"outputs": {"data": {"type": "volume"}}},
    },
}


def job(phase, *, start=None, end=None, **more):
    times = {"startedAt": start, "finishedAt": end}
    state = {"phase": phase, "attempt": 1, **more}
    return state | {key: f"2026-01-31T12:{text}Z" for key, text in times.items() if text}


def failed_run():
    return run_object(
        "train-abcde",
        phase="Failed",
        definition=DEFINITION,
        progress="3/3",
        message="job Report failed",
        startedAt="2026-01-31T12:00:00Z",
        finishedAt="2026-01-31T12:05:30Z",
        jobs={
            "Prepare": job("Succeeded", start="00:05", end="00:35", node="cpu-1"),
            "Train": job(
                "Succeeded",
                start="00:40",
                end="05:00",
                node="gpu-1",
                outputs={
                    "model": {"version": "digits-model:k5tq3nfdxw2a", "bytes": 2048, "files": 3},
                    "score": {"value": "0.93\n"},
                    "log": {"ref": "runs/uid/result.json"},
                },
            ),
            "Report": job(
                "Failed",
                start="05:05",
                end="05:25",
                attempt=2,
                node="cpu-1",
                reason="ExitCode",
                message="exit code 1: Traceback (most recent call last):\n  [red]line 3[/red]\n"
                "\x1b[31mValueError: no\x1b[0m",
            ),
        },
        conditions=[
            {"type": "Accepted", "status": "True", "reason": "Valid", "message": ""},
            {"type": "Succeeded", "status": "False", "reason": "JobFailed", "message": "Report"},
        ],
        inputs={
            "digits:latest": {
                "dataset": "digits",
                "namespace": "shared",
                "version": "abcdefghijkl",
                "bytes": 1024,
            }
        },
        volumes={"Prepare.data": {"mode": "Copy", "reason": "the class is node-bound"}},
    )


def printed(content, width=100):
    console = Console(file=io.StringIO(), width=width)
    emit(console, content)
    return console.file.getvalue()


def shown(run, models=(), width=100):
    return printed(details(run_view(run), models=models, now=NOW, width=width), width)


def test_a_failed_run_is_shown_with_all_that_it_left():
    model = {
        "metadata": {"name": "digits-1"},
        "spec": {
            "name": "digits",
            "type": "Custom",
            "dataset": "digits-model",
            "version": "k5tq3nfdxw2a",
        },
    }
    run = failed_run()
    run["metadata"]["namespace"] = "team"
    assert (
        shown(run, [model])
        == """\
Run train-abcde of workflow train in namespace team
✗ Failed, 3/3 jobs finished, started 10m 00s ago, took 5m 30s
job Report failed

Jobs
  JOB             STATE      TIME    MACHINE  NODE
  ✓ Prepare       Succeeded  30s     C4       cpu-1
  └─ ✓ Train      Succeeded  4m 20s  A100     gpu-1
     └─ ✗ Report  Failed     20s     C4       cpu-1  attempt 2, ExitCode: exit code 1: Traceback (m…

Inputs
  digits:latest  shared/digits:abcdefghijkl  1.0 KiB

Volumes
  Prepare.data  Copy: the class is node-bound

Datasets made
  digits-model:k5tq3nfdxw2a  3 files, 2.0 KiB, by Train

Strings
  Train.score  0.93
  Train.log    (long: in object storage only)

Models
  digits-1  digits (Custom), digits-model:k5tq3nfdxw2a

Conditions
  Accepted=True    Valid
  Succeeded=False  JobFailed: Report

Failures
  ✗ Report (attempt 2): exit code 1: Traceback (most recent call last):
    │   [red]line 3[/red]
    │ ValueError: no

Next
  the whole log of the job       gradient logs train-abcde Report -n team
  go on, keeping what succeeded  gradient rerun train-abcde --failed -n team
  start it afresh                gradient run train -n team
  download what it made          gradient dataset get digits-model:k5tq3nfdxw2a DIRECTORY -n team
"""
    )


def test_commands_to_copy_are_never_cut():
    text = shown(failed_run(), width=60)
    flat = " ".join(text.split())
    assert "gradient dataset get digits-model:k5tq3nfdxw2a DIRECTORY" in flat


def test_a_run_that_waits_says_for_what_and_what_to_type():
    text = shown(
        run_object(
            phase="Running",
            definition=DEFINITION,
            jobs={"Prepare": job("Starting", reason="Unschedulable", message="no node fits: x")},
        )
    )
    assert "\nWaiting\n  Prepare  no node fits: x\n" in text
    assert "gradient show train-aaaa -f" in text
    assert "gradient cancel train-aaaa" in text


def test_a_run_that_nobody_has_looked_at_is_pending():
    text = shown(run_object(definition=DEFINITION))
    assert "○ Pending" in text
    assert "gradient cancel" in text


def test_a_cancelled_run_says_so_until_it_has_ended():
    run = run_object(phase="Running", definition=DEFINITION)
    run["spec"]["cancel"] = True
    assert "● Cancelling" in shown(run)
    run["status"]["phase"] = "Cancelled"
    assert "⊘ Cancelled" in shown(run)


def test_many_failures_are_counted():
    jobs = {f"j{index}": {} for index in range(9)}
    states = {name: job("Failed", message="exit code 1") for name in jobs}
    run = run_object(phase="Failed", definition={"jobs": jobs}, jobs=states)
    assert "… and 4 more" in shown(run)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_the_graph_keeps_within_the_terminal(width):
    table = jobs_table(run_view(failed_run()).jobs, now=NOW, width=width)
    text = printed(table, 200)
    assert max(map(len, text.splitlines())) <= width
    assert "Report" in text


def test_a_pending_job_tells_when_it_tries_again():
    run = run_object(
        phase="Running",
        definition={"jobs": {"a": {}}},
        jobs={"a": {"phase": "Pending", "attempt": 1, "retryAt": "2026-01-31T12:10:20Z"}},
    )
    assert "tries again in 20s" in shown(run)


def test_jobs_without_a_definition_and_in_circles_are_shown_too():
    run = run_object(
        phase="Failed",
        definition={"jobs": {"a": {"needs": ["b"]}, "b": {"needs": ["a"]}, "c": None}},
        jobs={"gone": {"phase": "Failed"}},
    )
    assert {job.name for job in run_view(run).jobs} == {"a", "b", "c", "gone"}


def test_the_list_of_runs_is_readable_without_colours():
    text = printed(runs_table([run_view(failed_run())], now=NOW, width=100))
    assert text == (
        "NAME         WORKFLOW  STATE     JOBS  STARTED      TIME    MESSAGE\n"
        "train-abcde  train     ✗ Failed  3/3   10m 00s ago  5m 30s  job Report failed\n"
    )


def test_json_has_the_same_facts():
    content = json.loads(
        json.dumps(run_details(run_view(failed_run()), models=[], now=NOW), sort_keys=True)
    )
    assert content["phase"] == "Failed"
    assert content["seconds"] == 330
    train = next(job for job in content["jobs"] if job["name"] == "Train")
    assert train["needs"] == ["Prepare"]
    assert train["outputs"][0] == {
        "name": "model",
        "type": "dataset",
        "dataset": "digits-model",
        "version": "k5tq3nfdxw2a",
        "bytes": 2048,
        "files": 3,
    }


def test_text_from_outside_cannot_steer_the_terminal():
    assert safe(
        "\x1b[31mred\x1b[0m \x07\x1b]0;title\x07 a\tb"
    ).plain == "red �]0;title� a\tb".replace("red ", "red �")
