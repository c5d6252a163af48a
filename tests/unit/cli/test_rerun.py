"""`gradient rerun`: the run that it makes, and what it does not make."""

import pytest

from gradient_operator.kube.resources import RUNS
from tests.unit.cli.fake import run_object

DEFINITION = {"jobs": {"a": {}, "b": {"needs": ["a"]}}}
JOBS = {"a": {"phase": "Succeeded"}, "b": {"phase": "Failed", "message": "exit code 1"}}
OWNER = {"kind": "GradientWorkflow", "name": "train", "uid": "w"}


@pytest.fixture
def failed(client):
    body = run_object(phase="Failed", jobs=JOBS, definition=DEFINITION)
    body["metadata"] |= {"labels": {"gradient.run/workflow": "train"}, "ownerReferences": [OWNER]}
    body["spec"] |= {"policy": {"retries": 1}, "inputs": {"x": {"value": "1"}}, "cancel": True}
    return client.add(RUNS, body)


def made(client):
    (name,) = client.of(RUNS).keys() - {"train-aaaa"}
    return client.of(RUNS)[name]


def test_a_rerun_is_a_new_run_of_the_same_that_names_it(gradient, client, failed):
    code, out, err = gradient("rerun", "train-aaaa")
    assert code == 0
    body = made(client)
    assert out == f"Started run {body['metadata']['name']}.\n"
    assert f"gradient show {body['metadata']['name']} -n team -f" in err
    kept = {key: failed["spec"][key] for key in ("workflow", "definition", "policy", "inputs")}
    assert body["spec"] == {
        **kept,
        "trigger": {"kind": "Manual"},
        "rerunOf": {"name": "train-aaaa", "uid": "uid-of-train-aaaa", "jobs": "All"},
    }
    assert body["metadata"]["labels"] == {"gradient.run/workflow": "train"}
    assert body["metadata"]["ownerReferences"] == [{**OWNER, "blockOwnerDeletion": False}]
    assert body["metadata"]["name"].startswith("train-")


def test_going_on_from_what_failed_names_the_jobs(gradient, client, failed):
    assert gradient("rerun", "train-aaaa", "--failed", "--from", "a")[0] == 0
    wanted = made(client)["spec"]["rerunOf"]
    assert (wanted["jobs"], wanted["from"]) == ("Failed", ["a"])


def test_a_name_makes_asking_again_harmless(gradient, client, failed):
    for _ in range(2):
        assert gradient("rerun", "train-aaaa", "--failed", "--name", "again")[0] == 0
    assert [call for call in client.calls if call[0] == "create"] == [
        ("create", "gradientruns", "again")
    ]
    code, _, err = gradient("rerun", "train-aaaa", "--name", "again")
    assert code == 2
    assert "choose another --name" in err


def test_following_gives_the_result(gradient, client, failed, monkeypatch):
    create = client.create

    async def ended(resource, body, *, namespace=None):
        return await create(
            resource, {**body, "status": {"phase": "Succeeded"}}, namespace=namespace
        )

    monkeypatch.setattr(client, "create", ended)
    assert gradient("rerun", "train-aaaa", "--failed", "--follow")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "a"), "use it with --failed"),
        (("--failed", "--from", "z"), "has no job 'z': its jobs: a, b."),
    ],
)
def test_what_makes_no_sense_is_refused(gradient, client, failed, arguments, said):
    code, _, err = gradient("rerun", "train-aaaa", *arguments)
    assert code == 2
    assert said in err
    assert client.calls == []


@pytest.mark.parametrize(
    ("phase", "said"),
    [("Running", "has not ended (Running)"), ("Succeeded", "nothing of it failed")],
)
def test_a_run_with_nothing_to_go_on_from_is_left_alone(gradient, client, phase, said):
    client.add(RUNS, run_object(phase=phase, definition=DEFINITION))
    code, _, err = gradient("rerun", "train-aaaa", "--failed")
    assert code == 2
    assert said in err


def test_show_says_what_was_taken_over_and_from_where(gradient, client):
    jobs = {"a": {"phase": "Succeeded", "reason": "Adopted", "source": "train-aaaa/a"}}
    body = run_object("train-bbbb", phase="Running", jobs=jobs, definition=DEFINITION)
    body["spec"]["rerunOf"] = {"name": "train-aaaa"}
    client.add(RUNS, body)
    out = gradient("show", "train-bbbb")[1]
    assert "a rerun of train-aaaa" in out
    assert "from train-aaaa/a" in out
