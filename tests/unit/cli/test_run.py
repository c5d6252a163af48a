"""`gradient run`: what is created, what is left alone, what is refused before it is sent."""

import re

import pytest
import yaml

from gradient_operator.cli import start
from gradient_operator.kube.errors import AlreadyExists
from gradient_operator.kube.resources import RUNS, WORKFLOWS

FILE = """\
on:
  github: {branches: {only: main}}
inputs:
  data: {type: dataset, with: {ref: digits}}
  note: {type: string, with: {value: none}}
jobs:
  Train:
    resources: {instance-type: C4}
    inputs: {data: workflow.inputs.data, note: workflow.inputs.note}
    uses: script@v1
    with: {image: python, script: train}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(FILE)
    return path


def only_run(client):
    (run,) = client.of(RUNS).values()
    return run


def in_cluster(client, *, policy=None, text=FILE, name="train"):
    spec = yaml.safe_load(text.replace("on:", '"on":'))
    if policy is not None:
        spec["policy"] = policy
    return client.add(WORKFLOWS, {"metadata": {"name": name}, "spec": spec})


def test_a_new_file_becomes_a_workflow_that_does_not_start_by_itself(gradient, client, file):
    code, out, err = gradient("run", str(file))
    workflow, run = client.of(WORKFLOWS)["train"], only_run(client)
    assert code == 0
    assert workflow["spec"]["policy"] == {"start": "Manual"}
    assert workflow["spec"]["on"] == {"github": {"branches": {"only": "main"}}}
    name = run["metadata"]["name"]
    assert re.fullmatch(r"train-[a-z2-7]{10}", name)
    assert f"Started run {name} of workflow train in namespace team." in out
    assert f"gradient show {name} -n team -f" in out
    assert "Created workflow train" in err


def test_a_run_is_a_copy_that_belongs_to_its_workflow(gradient, client, file):
    gradient("run", str(file))
    run, workflow = only_run(client), client.of(WORKFLOWS)["train"]
    assert run["apiVersion"] == "gradient.run/v1alpha1"
    assert run["kind"] == "GradientRun"
    assert run["spec"]["workflow"] == "train"
    assert run["spec"]["trigger"] == {"kind": "Manual"}
    assert run["spec"]["definition"]["jobs"] == workflow["spec"]["jobs"]
    assert "policy" not in run["spec"]["definition"]
    assert run["metadata"]["labels"] == {"gradient.run/workflow": "train"}
    (owner,) = run["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("GradientWorkflow", workflow["metadata"]["uid"])


def test_an_unchanged_file_changes_nothing(gradient, client, file):
    gradient("run", str(file))
    client.calls.clear()
    assert gradient("run", str(file))[0] == 0
    assert [call[:2] for call in client.calls] == [("create", "gradientruns")]


def test_a_changed_file_updates_the_workflow_and_keeps_its_policy(gradient, client, file):
    in_cluster(client, policy={"start": "Manual", "retries": 3})
    file.write_text(FILE.replace("Train:", "Fit:"))
    code, _, err = gradient("run", str(file))
    spec = client.of(WORKFLOWS)["train"]["spec"]
    assert code == 0
    assert list(spec["jobs"]) == ["Fit"]
    assert spec["policy"] == {"start": "Manual", "retries": 3}
    assert "Updated workflow train" in err
    assert only_run(client)["spec"]["policy"] == {"retries": 3}


def test_a_workflow_that_starts_by_itself_is_left_alone(gradient, client, file):
    in_cluster(client)
    file.write_text(FILE.replace("Train:", "Fit:"))
    code, _, err = gradient("run", str(file))
    assert code == 0
    assert list(client.of(WORKFLOWS)["train"]["spec"]["jobs"]) == ["Train"]
    assert list(only_run(client)["spec"]["definition"]["jobs"]) == ["Fit"]
    assert "starts a run at every change" in err


def test_defaults_that_the_server_filled_in_are_no_change(gradient, client, file):
    workflow = in_cluster(client)
    workflow["spec"]["inputs"]["data"]["optional"] = False
    workflow["spec"]["true"] = workflow["spec"].pop("on")
    client.add(WORKFLOWS, workflow)
    _, _, err = gradient("run", str(file))
    assert err == ""


def test_a_workflow_runs_by_name(gradient, client):
    workflow = in_cluster(client, policy={"retries": 1})
    workflow["spec"]["true"] = workflow["spec"].pop("on")
    client.add(WORKFLOWS, workflow)
    code, _, _ = gradient("run", "train", "-i", "data=digits:v2", "--input", "note=a=b")
    spec = only_run(client)["spec"]
    assert code == 0
    assert spec["inputs"] == {"data": {"ref": "digits:v2"}, "note": {"value": "a=b"}}
    assert "on" in spec["definition"]
    assert "true" not in spec["definition"]
    assert spec["policy"] == {"retries": 1}


def test_policy_options_count_for_the_run_alone(gradient, client, file):
    in_cluster(client, policy={"start": "Manual", "volumes": {"size": "9Gi"}})
    code, _, _ = gradient(
        "run", str(file), "--policy", "retries=2", "--policy", "volumes.mode=Copy"
    )
    assert code == 0
    assert only_run(client)["spec"]["policy"] == {
        "retries": 2,
        "volumes": {"size": "9Gi", "mode": "Copy"},
    }
    assert client.of(WORKFLOWS)["train"]["spec"]["policy"] == {
        "start": "Manual",
        "volumes": {"size": "9Gi"},
    }


def test_inputs_may_stand_in_a_file(gradient, client, file, tmp_path):
    inputs = tmp_path / "inputs.yaml"
    inputs.write_text("inputs:\n  data: {id: digits:v1}\n  note: from the file\n")
    assert gradient("run", str(file), "--inputs-file", str(inputs), "-i", "note=wins")[0] == 0
    assert only_run(client)["spec"]["inputs"] == {
        "data": {"id": "digits:v1"},
        "note": {"value": "wins"},
    }


def test_a_manifest_runs_as_well_in_its_own_namespace(gradient, client, tmp_path):
    file = tmp_path / "any.yaml"
    spec = FILE.replace("\n", "\n  ")
    file.write_text(
        "apiVersion: gradient.run/v1alpha1\nkind: GradientWorkflow\n"
        f"metadata: {{name: train, namespace: lab, labels: {{a: b}}}}\nspec:\n  {spec}"
    )
    assert gradient("run", str(file))[0] == 0
    assert client.of(WORKFLOWS, namespace="lab")["train"]["metadata"]["labels"] == {"a": "b"}
    assert gradient("run", str(file), "-n", "other")[0] == 0
    assert "train" in client.of(WORKFLOWS, namespace="other")


def test_keys_without_a_value_are_not_sent(gradient, client, file):
    file.write_text(FILE.replace("    uses:", "    needs:\n    env:\n    uses:"))
    assert gradient("run", str(file))[0] == 0
    assert "needs" not in only_run(client)["spec"]["definition"]["jobs"]["Train"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("Train:", "Train:\n    needs: [Clone]"), ":8:13: error: jobs.Train.needs.0: 'Clone' is"),
        (("uses:", "usess:"), ":10:5: error: jobs.Train.usess: "),
        (("with: {image: python, ", "with: {image: 3, "), ":11:19: error: jobs.Train.with.image"),
        (("jobs:", "jobs: {}\nx:"), "error: "),
    ],
)
def test_an_invalid_file_is_refused_with_places_and_nothing_is_sent(
    gradient, client, file, change, says
):
    file.write_text(FILE.replace(*change))
    code, out, err = gradient("run", str(file))
    assert (code, out) == (2, "")
    assert f"{file}{says}" in err or says == "error: "
    assert client.calls == []


def test_places_in_a_manifest_are_those_of_the_file(gradient, client, tmp_path):
    file = tmp_path / "any.yaml"
    file.write_text(
        "apiVersion: gradient.run/v1alpha1\nkind: GradientWorkflow\n"
        "metadata: {name: train}\nspec:\n  jobs:\n    A: {uses: nothing@v1}\n"
    )
    assert f"{file}:6:15: error: jobs.A.uses" in gradient("run", str(file))[2]


def test_warnings_are_said_and_do_not_stop_the_run(gradient, client, file):
    file.write_text(
        FILE.replace("note: workflow.inputs.note}", "note: Prepare.outputs.note}")
        + "  Prepare:\n    resources: {instance-type: C4}\n    outputs: {note: {type: string}}\n"
        "    uses: script@v1\n    with: {image: python, script: prepare}\n"
    )
    code, _, err = gradient("run", str(file))
    assert code == 0
    assert "warning: jobs.Train.inputs.note" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-i", "dat=x"], "no input 'dat': did you mean 'data'?"),
        (["-i", "data"], "is not NAME=VALUE"),
        (["-i", "data=not a reference"], "no dataset reference"),
        (["--policy", "retries=many"], "--policy is not valid"),
        (["--policy", "retrie=1"], "did you mean 'retries'?"),
        (["--policy", "retries"], "is not KEY=VALUE"),
        (["--policy", "volumes=x", "--policy", "volumes.mode=Copy"], "contradicts another"),
        (["--policy", "retries=[1"], "bracket"),
        (["--inputs-file", "/nowhere.yaml"], "There is no file /nowhere.yaml"),
        (["--name", "Not_Valid"], "cannot be the name of a workflow"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sent(gradient, client, file, options, says):
    code, _, err = gradient("run", str(file), *options)
    assert code == 2
    assert says in err
    assert client.calls == []


@pytest.mark.parametrize("value", ["3", "[a]", "{ref: a, value: b}", "{other: a}", "{ref: 3}"])
def test_an_inputs_file_of_another_shape_is_refused(gradient, client, file, tmp_path, value):
    inputs = tmp_path / "inputs.yaml"
    inputs.write_text(f"data: {value}\nnote: x\n")
    code, _, err = gradient("run", str(file), "--inputs-file", str(inputs))
    assert code == 2
    assert "Input 'data' must be a text" in err


def test_a_missing_workflow_is_named(gradient, client):
    code, _, err = gradient("run", "nothing")
    assert code == 2
    assert "There is no workflow 'nothing' in namespace team" in err
    assert "--name is for files" in gradient("run", "nothing", "--name", "x")[2]


def test_an_input_without_a_value_is_asked_for(gradient, client, file):
    file.write_text(FILE.replace("{type: dataset, with: {ref: digits}}", "{type: dataset}"))
    code, _, err = gradient("run", str(file))
    assert code == 2
    assert f"{file}:4:3: error: inputs.data" in err
    assert client.calls == []


def test_a_name_that_is_taken_is_replaced_by_another(gradient, client, file, monkeypatch):
    letters = iter("a" * 10 + "b" * 10)
    client.add(RUNS, {"metadata": {"name": "train-aaaaaaaaaa"}})
    monkeypatch.setattr(start.secrets, "choice", lambda _: next(letters))
    assert gradient("run", str(file))[0] == 0
    assert "train-bbbbbbbbbb" in client.of(RUNS)


def test_a_name_that_is_always_taken_is_an_error(gradient, client, file, monkeypatch):
    client.add(RUNS, {"metadata": {"name": "train-aaaaaaaaaa"}})
    monkeypatch.setattr(start.secrets, "choice", lambda _: "a")
    code, _, err = gradient("run", str(file))
    assert code == 2
    assert AlreadyExists.__name__ not in err
    assert "already exists" in err


def test_names_of_runs_fit_into_a_label():
    assert len(start.run_name("w" * 63)) == 63
    assert re.fullmatch(r"w{52}-[a-z2-7]{10}", start.run_name("w" * 63))


def test_run_and_follow_ends_with_the_result(gradient, client, file, monkeypatch):
    create = client.create

    async def created_and_failed(resource, body, *, namespace=None):
        made = await create(resource, body, namespace=namespace)
        if resource is RUNS:
            client.add(RUNS, {**made, "status": {"phase": "Failed", "message": "it broke"}})
        return made

    monkeypatch.setattr(client, "create", created_and_failed)
    code, out, _ = gradient("run", str(file), "--follow")
    assert code == 1
    assert "it broke" in out


ASKED = """\
on:
  manual:
    inputs:
      size: {type: choice, options: [small, large], required: true, description: How much to train}
      rounds: {type: number, default: 5}
      dry: {type: boolean}
jobs:
  Train:
    resources: {instance-type: C4}
    inputs: {size: workflow.inputs.size}
    uses: script@v1
    with: {image: python, script: train}
"""


@pytest.fixture
def asking(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(ASKED)
    return path


def test_what_on_manual_asks_for_is_given_by_input(gradient, client, asking):
    code, _, err = gradient("run", str(asking), "--input", "size=large", "-i", "rounds=7")
    assert code == 0, err
    assert only_run(client)["spec"]["inputs"] == {
        "size": {"value": "large"},
        "rounds": {"value": "7"},
    }


def test_a_file_with_on_manual_needs_no_policy_to_wait_for_a_hand(gradient, client, asking):
    gradient("run", str(asking), "--input", "size=large")
    assert "policy" not in client.of(WORKFLOWS)["train"]["spec"]


def test_numbers_and_truths_in_a_file_of_inputs_need_no_quotes(gradient, client, asking, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text("size: small\nrounds: 7\ndry: true\n")
    code, _, err = gradient("run", str(asking), "--inputs-file", str(values))
    assert code == 0, err
    given = only_run(client)["spec"]["inputs"]
    assert {name: item["value"] for name, item in given.items()} == {
        "size": "small",
        "rounds": "7",
        "dry": "true",
    }


def test_what_is_asked_for_and_missing_is_listed(gradient, client, asking):
    code, _, err = gradient("run", str(asking))
    assert code == 2
    assert (
        "on.manual.inputs.size: is asked for and was not given "
        "(one of small, large: How much to train): start the run with --input size=VALUE"
    ) in err
    assert client.of(RUNS) == {}


def test_a_value_that_may_not_be_given_is_refused_with_those_that_may(gradient, client, asking):
    code, _, err = gradient("run", str(asking), "--input", "size=huge")
    assert code == 2
    assert "inputs.size: is 'huge', but must be one of small, large" in err
    assert client.of(RUNS) == {}


def test_a_workflow_that_asks_is_updated_since_that_starts_nothing(gradient, client, asking):
    in_cluster(client, text=ASKED.replace("train}", "before}"))
    code, _, err = gradient("run", str(asking), "--input", "size=small")
    assert code == 0, err
    assert "Updated workflow train" in err
    jobs = client.of(WORKFLOWS)["train"]["spec"]["jobs"]
    assert jobs["Train"]["with"]["script"] == "train"


def test_a_schedule_is_not_put_in_force_by_a_run(gradient, client, tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(FILE.replace("  github:", "  schedule: [{cron: 30 6 * * *}]\n  github:"))
    code, _, err = gradient("run", str(path))
    assert code == 0, err
    assert client.of(WORKFLOWS)["train"]["spec"]["policy"] == {"start": "Manual"}
    assert "Its schedule starts nothing yet (policy.start: Manual)" in err
