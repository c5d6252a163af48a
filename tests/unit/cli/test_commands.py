"""`runs`, `show` and `cancel` from the command line to the API and back."""

import json

from gradient_operator.kube.resources import MODELS, RUNS, WORKFLOWS
from tests.unit.cli.fake import run_object

DEFINITION = {"jobs": {"Train": {}, "Register": {"uses": "create-model@v1"}}}


def test_runs_lists_the_newest_first(gradient, client):
    for name, created in (("old", "2026-01-01T00:00:00Z"), ("new", "2026-02-01T00:00:00Z")):
        body = run_object(name, phase="Succeeded", message="all is well")
        body["metadata"]["creationTimestamp"] = created
        client.add(RUNS, body)
    client.add(RUNS, run_object("elsewhere"), namespace="other")
    code, out, _ = gradient("runs")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "new", "old"]
    listed = json.loads(gradient("runs", "-o", "json")[1])
    assert [(run["name"], run["phase"]) for run in listed] == [
        ("new", "Succeeded"),
        ("old", "Succeeded"),
    ]


def test_no_runs_is_said_with_the_next_step(gradient):
    code, out, err = gradient("runs", "-n", "empty")
    assert (code, out) == (0, "")
    assert "gradient run FILE -n empty" in err
    assert gradient("runs", "-o", "json") == (0, "[]\n", "")


def test_show_shows_the_run_and_the_models_it_made(gradient, client):
    client.add(RUNS, run_object(phase="Succeeded", definition=DEFINITION))
    for name, run in (("mine", "train-aaaa"), ("other", "train-bbbb")):
        spec = {"name": name, "type": "Custom", "dataset": "d", "version": "v" * 12}
        client.add(MODELS, {"metadata": {"name": name}, "spec": {**spec, "origin": {"run": run}}})
    code, out, _ = gradient("show", "train-aaaa")
    assert code == 0
    assert "mine (Custom)" in out
    assert "other" not in out
    content = json.loads(gradient("show", "train-aaaa", "-o", "json")[1])
    assert [model["name"] for model in content["models"]] == ["mine"]


def test_show_follow_ends_with_the_result(gradient, client):
    client.add(RUNS, run_object(phase="Cancelled", definition=DEFINITION))
    assert gradient("show", "train-aaaa", "-f")[0] == 3
    code, _, err = gradient("show", "train-aaaa", "-f", "-o", "json")
    assert code == 2
    assert "leave one of the two out" in err


def test_a_run_that_does_not_exist_is_named_by_every_command(gradient):
    for command in ("show", "logs", "cancel"):
        code, _, err = gradient(command, "nothing")
        assert code == 2
        assert "There is no run 'nothing' in namespace team. List them" in err


def test_cancel_asks_the_operator_once_the_run_goes_on(gradient, client):
    client.add(RUNS, run_object(phase="Running", definition=DEFINITION))
    code, out, _ = gradient("cancel", "train-aaaa")
    assert code == 0
    assert "gradient show train-aaaa -n team -f" in out
    assert client.of(RUNS)["train-aaaa"]["spec"]["cancel"] is True


def test_cancel_leaves_an_ended_run_alone(gradient, client):
    client.add(RUNS, run_object(phase="Failed", definition=DEFINITION))
    assert gradient("cancel", "train-aaaa")[:2] == (
        0,
        "Run train-aaaa has already ended: Failed.\n",
    )
    assert client.calls == []


def test_a_run_that_waits_for_its_turn_says_for_which(gradient, client):
    text = "waits for run train-bbbb: concurrency group 'gpu' has one at a time"
    client.add(RUNS, run_object(phase="Pending", definition=DEFINITION, message=text))
    for command in (("show", "train-aaaa"), ("runs",)):
        code, out, _ = gradient(*command)
        assert code == 0
        assert "waits for run train-bbbb" in " ".join(out.split())


def test_a_run_whose_place_was_taken_says_by_which(gradient, client):
    text = "superseded by run train-bbbb, which waits in its place in concurrency group 'gpu'"
    client.add(RUNS, run_object(phase="Cancelled", definition=DEFINITION, message=text))
    code, out, _ = gradient("show", "train-aaaa")
    assert code == 0
    assert "superseded by run train-bbbb" in " ".join(out.split())


def test_cancel_may_give_jobs_more_time_to_end(gradient, client):
    client.add(RUNS, run_object(phase="Running", definition=DEFINITION))
    assert gradient("cancel", "train-aaaa", "--grace", "600")[0] == 0
    spec = client.of(RUNS)["train-aaaa"]["spec"]
    assert (spec["cancel"], spec["cancelGraceSeconds"]) == (True, 600)


def test_a_run_is_suspended_and_goes_on(gradient, client):
    client.add(RUNS, run_object(phase="Running", definition=DEFINITION))
    code, out, _ = gradient("suspend", "train-aaaa")
    assert (code, client.of(RUNS)["train-aaaa"]["spec"]["suspend"]) == (0, True)
    assert "gradient resume train-aaaa -n team" in out
    assert "is suspended already" in gradient("suspend", "train-aaaa")[1]
    assert gradient("resume", "train-aaaa")[1] == "Run train-aaaa goes on.\n"
    assert "suspend" not in client.of(RUNS)["train-aaaa"]["spec"]
    assert "is not suspended" in gradient("resume", "train-aaaa")[1]


def test_a_run_that_has_ended_is_not_suspended(gradient, client):
    client.add(RUNS, run_object(phase="Failed", definition=DEFINITION))
    assert "has already ended: Failed" in gradient("suspend", "train-aaaa")[1]
    assert client.calls == []


def test_a_workflow_is_suspended_by_its_name(gradient, client):
    client.add(WORKFLOWS, {"metadata": {"name": "train"}, "spec": {"jobs": {}}})
    code, out, _ = gradient("suspend", "--workflow", "train")
    assert (code, client.of(WORKFLOWS)["train"]["spec"]["suspend"]) == (0, True)
    assert "gradient resume train --workflow" in out
