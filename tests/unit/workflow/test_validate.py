"""What is wrong with a field is said in a sentence, at the field's place in the file."""

import pytest

from gradient_operator.workflow.model import Refused
from gradient_operator.workflow.validate import parse_file, parse_run, parse_spec
from tests.builders import make_workflow


def job(**fields):
    return {"jobs": {"a": fields}}


WRONG = {
    "needs that are no list": (job(needs="b"), "jobs.a.needs: must be a list: write [b]"),
    "a number as variable": (
        job(env={"A": 1}),
        "jobs.a.env.A: must be a string: put it in quotes",
    ),
    "a number among the arguments": (
        job(**{"with": {"args": ["a", 1]}}),
        "jobs.a.with.args.1: must be a string: put it in quotes",
    ),
    "a number as command": (
        job(**{"with": {"command": 1}}),
        "jobs.a.with.command: must be a string: put it in quotes",
    ),
    "a number in a command": (
        job(**{"with": {"command": ["a", 1]}}),
        "jobs.a.with.command.1: must be a string: put it in quotes",
    ),
    "a script as list": (
        job(**{"with": {"script": ["a", "b"]}}),
        "jobs.a.with.script: must be one text: write `script: |-` and the lines below it, indented",
    ),
    "an input that is a number": (
        job(inputs={"x": 3}),
        "jobs.a.inputs.x: must be a string: put it in quotes",
    ),
    "an input that is a list": (
        job(inputs={"x": ["b.outputs.y"]}),
        "jobs.a.inputs.x: must hold keys and values",
    ),
    "an input of unknown type": (
        job(inputs={"x": {"type": "model"}}),
        "jobs.a.inputs.x.type: must be 'dataset', 'string' or 'volume'",
    ),
    "a misspelt key of an input": (
        job(inputs={"x": {"type": "dataset", "wth": {}}}),
        "jobs.a.inputs.x.wth: is not a key of the format; did you mean 'with'?",
    ),
    "an output that is a reference": (
        job(outputs={"x": "b.outputs.y"}),
        "jobs.a.outputs.x: must hold keys and values",
    ),
    "a misspelt key of a job": (
        job(ouputs={}),
        "jobs.a.ouputs: is not a key of the format; did you mean 'outputs'?",
    ),
    "a parameter beside `with`": (
        job(script="true"),
        "jobs.a.script: belongs under `with`",
    ),
    "a misspelt key among the resources": (
        job(resources={"instance_type": "C4"}),
        "jobs.a.resources.instance_type: is not a key of the format; did you mean 'instance-type'?",
    ),
    "a key that is like nothing": (
        {"jobs": {}, "xyzzy": 1},
        (
            "xyzzy: is not a key of the format; "
            "known here are concurrency, context, defaults, inputs, jobs, on, timeout"
        ),
    ),
    "a trigger of GitHub Actions": (
        {"jobs": {}, "on": {"push": {}}},
        "on.push: is of GitHub Actions: write `github: {branches: {only: BRANCH}}`",
    ),
    "a manual trigger that is true": (
        {"jobs": {}, "on": {"manual": True}},
        "on.manual: must hold keys and values: write `manual: {}`, or `inputs` below it",
    ),
    "a manual trigger that is empty": (
        {"jobs": {}, "on": {"manual": None}},
        "on.manual: must hold keys and values: write `manual: {}`, or `inputs` below it",
    ),
    "a default that is a list": (
        {"jobs": {}, "on": {"manual": {"inputs": {"size": {"default": ["small"]}}}}},
        "on.manual.inputs.size.default: must be a text, a number, true or false",
    ),
    "a single schedule": (
        {"jobs": {}, "on": {"schedule": {"cron": "0 6 * * *"}}},
        "on.schedule: must be a list",
    ),
    "a misspelt key of a group": (
        {"jobs": {}, "concurrency": {"group": "gpu", "cancel_in_progress": True}},
        (
            "concurrency.cancel_in_progress: is not a key of the format; "
            "did you mean 'cancel-in-progress'?"
        ),
    ),
    "a group that is a list": (
        {"jobs": {}, "concurrency": ["gpu"]},
        "concurrency: must hold keys and values",
    ),
    "a job without content": ({"jobs": {"a": None}}, "jobs.a: must hold keys and values"),
    "a job with a space in its name": (
        {"jobs": {"a b": {}}},
        "jobs.a b: is no name: it begins with a letter or digit and goes on with these, - and _",
    ),
    "an input with a space in its name": (
        job(inputs={"a b": "c.outputs.d"}),
        (
            "jobs.a.inputs.a b: is no name: "
            "it begins with a letter or digit and goes on with these, - and _"
        ),
    ),
    "an empty machine type": (
        job(resources={"instance-type": ""}),
        "jobs.a.resources.instance-type: must have at least 1 character",
    ),
    "too many jobs": (
        {"jobs": {f"j{number}": {} for number in range(2_049)}},
        "jobs: must have at most 2048 items",
    ),
}


@pytest.mark.parametrize(("data", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named_with_its_remedy(data, sentence):
    with pytest.raises(Refused) as caught:
        parse_file(data)
    assert [str(problem) for problem in caught.value.problems] == [sentence]


@pytest.mark.parametrize("data", [None, [], "jobs", 1])
def test_what_is_no_mapping_is_refused(data):
    with pytest.raises(Refused, match="must hold keys and values"):
        parse_file(data)


def test_every_problem_is_told_at_once():
    with pytest.raises(Refused) as caught:
        parse_file({"jobs": {"a": {"needs": "b"}, "b": {"env": {"A": 1}}}})
    assert [problem.path[1] for problem in caught.value.problems] == ["a", "b"]


def test_a_job_called_like_a_type_keeps_its_place():
    with pytest.raises(Refused) as caught:
        parse_file({"jobs": {"str": {"inputs": {"JobInput": {"type": "x"}}}}})
    assert caught.value.problems[0].path == ("jobs", "str", "inputs", "JobInput", "type")


@pytest.mark.parametrize("key", ["on", "true", True])
def test_the_trigger_is_read_however_its_key_was_sent(key):
    file = parse_file({key: {"github": {"branches": {"only": "main"}}}, "jobs": {}})
    assert file.on.github.branches.only == "main"


def test_a_misspelt_key_of_the_policy_is_refused():
    data = make_workflow().job("a").data() | {"policy": {"retris": 1}}
    with pytest.raises(Refused, match=r"policy\.retris: .* did you mean 'retries'"):
        parse_spec(data)


def test_a_misspelt_key_of_a_run_is_refused():
    with pytest.raises(Refused, match=r"cancle: .* did you mean 'cancel'"):
        parse_run({"cancle": True, "definition": {"jobs": {}}})


def test_a_problem_in_the_definition_of_a_run_has_its_whole_place():
    with pytest.raises(Refused, match=r"definition\.jobs\.a\.script: belongs under `with`"):
        parse_run({"definition": job(script="x")})
