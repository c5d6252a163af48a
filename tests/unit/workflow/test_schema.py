"""The schema for editors: accepts what the compiler accepts, and sees typical mistakes."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from gradient_operator.api.machines import NAMES
from gradient_operator.workflow import schema
from gradient_operator.workflow.check import check
from gradient_operator.workflow.loader import FileProblem, decode, load
from gradient_operator.workflow.model import Action, Refused
from gradient_operator.workflow.rules.catalogue import CATALOGUE
from tests.builders import make_workflow

ROOT = Path(__file__).parents[3]
FILE = ROOT / "schemas" / "gradient-workflow.schema.json"
CORPUS = os.environ.get("GRADIENT_CORPUS")
SCHEMA = schema.schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def complaints(data):
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(data)]


def content(text):
    """A Gradient file, or what a `GradientWorkflow` holds of one."""
    data = load(text, source="f").data
    spec = data.get("spec", data)
    return {key: value for key, value in spec.items() if key != "policy"}


def test_the_schema_is_one_of_draft_7():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_committed_file_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == schema.text()
    assert schema.main(["--check", str(FILE)]) == 0


def test_an_old_file_is_noticed(tmp_path, capsys):
    old = tmp_path / "old.json"
    old.write_text("{}")
    assert schema.main(["--check", str(old)]) == 1
    assert "out of date" in capsys.readouterr().err


def test_nothing_of_kubernetes_is_left():
    assert "x-kubernetes" not in schema.text()
    assert "$defs" not in schema.text()


def test_every_field_of_a_job_is_explained_and_actions_are_listed():
    job = SCHEMA["definitions"]["Job"]["properties"]
    assert "must have succeeded" in job["needs"]["description"]
    assert {*job["uses"]["enum"]} == {None, *Action}


def test_machine_types_are_offered_and_others_allowed():
    machine = SCHEMA["definitions"]["Resources"]["properties"]["instance-type"]
    assert {*machine["anyOf"][0]["enum"]} == NAMES
    assert complaints(make_workflow().job("a").on("metal-cpu").data()) == []


EXAMPLES = [
    file
    for file in sorted((ROOT / "examples").rglob("*.yaml"))
    if "jobs:" in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_examples_pass(file):
    assert complaints(content(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("rule", [rule for rule in CATALOGUE.values() if rule.right], ids=str)
def test_what_the_rules_show_as_right_passes(rule):
    try:
        data = content(rule.right)
    except FileProblem:
        pytest.skip("more than one document")
    assert complaints(data) == []


@pytest.mark.parametrize("rule", [rule for rule in CATALOGUE.values() if rule.wrong], ids=str)
def test_what_the_compiler_accepts_passes(rule):
    """Also of what the rules show as wrong: with a warning a file is valid."""
    try:
        data = content(rule.wrong.replace("…", "x" * rule.ellipsis))
        check(data)
    except (FileProblem, Refused, AttributeError):
        return
    assert complaints(data) == []


def job(**fields):
    return make_workflow().job("a", **fields).data()


ACCEPTED = {
    "a bare `on` of kubectl": {"true": {"github": {"branches": {"only": "main"}}}, **job()},
    "triggers": {
        "on": {
            "schedule": [{"cron": "0 6 * * *", "timezone": "Europe/Berlin"}],
            "manual": {"inputs": {"size": {"type": "number", "default": 3}}},
        },
        **job(),
    },
    "a group by its name": {"concurrency": "gpu", **job()},
    "a group in full": {"concurrency": {"group": "gpu", "cancel-in-progress": True}, **job()},
    "a command as text": job(uses="container@v1", **{"with": {"image": "a", "command": "bash"}}),
    "a command as list": job(uses="container@v1", **{"with": {"image": "a", "command": ["bash"]}}),
    "empty blocks": {"defaults": None, **job(needs=None, env=None, outputs=None)},
    "an input in full": job(inputs={"x": {"type": "dataset", "with": {"ref": " flowers:v1 "}}}),
    "a legacy volume": job(inputs={"x": {"type": "volume"}}),
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_both_accept_what_is_valid(data):
    check(data)
    assert complaints(data) == []


REFUSED = {
    "no job": {},
    "an empty map of jobs": {"jobs": {}},
    "an unknown key": {"name": "x", **job()},
    "a misspelt key of a job": job(ouputs={}),
    "steps of GitHub": job(steps=[]),
    "a trigger of GitHub": {"on": {"push": {}}, **job()},
    "a manual trigger that is true": {"on": {"manual": True}, **job()},
    "a script as list": job(**{"with": {"image": "bash:5", "script": ["a"]}}),
    "a number among arguments": job(**{"with": {"args": ["--epochs", 5]}}),
    "an unknown action": job(uses="script@v2"),
    "needs as text": job(needs="b"),
    "an output without type": job(outputs={"x": {"with": {"ref": "flowers"}}}),
    "an output of an unknown type": job(outputs={"x": {"type": "model"}}),
    "a reference without outputs": job(inputs={"x": "b.y"}),
    "a name with a space": {"jobs": {"a b": {}}},
    "a dataset with a space": job(inputs={"x": {"type": "dataset", "with": {"ref": "my data"}}}),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_both_see_typical_mistakes(data):
    with pytest.raises(Refused):
        check(data)
    assert complaints(data) != []


@pytest.mark.skipif(CORPUS is None, reason="set GRADIENT_CORPUS to a folder of workflow files")
def test_every_valid_file_of_the_corpus_passes():
    folder, wrong = Path(CORPUS), {}
    for line in (folder / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, status, *_ = line.split("\t")
        if status not in {"ok", "legacy"}:
            continue
        found = complaints(
            load(decode((folder / name).read_bytes(), source=name), source=name).data
        )
        if found:
            wrong[name] = found
    assert wrong == {}


def test_the_command_prints_it(capsys):
    from gradient_operator.cli.main import invoke

    assert invoke(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
