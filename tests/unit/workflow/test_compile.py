"""What a valid file comes to, and what is said of one that is not."""

import pytest

from gradient_operator.workflow.model import (
    EnvVar,
)
from gradient_operator.workflow.references import DatasetReference
from tests.builders import make_workflow

DATASET = {"type": "dataset"}


def clone():
    """A checkout into a volume, as nearly every file begins."""
    return (
        make_workflow()
        .job("clone")
        .uses("git-checkout@v1", url="https://x/y")
        .makes("repo", "volume")
    )


def one(builder, name="a", **how):
    return builder.compile(**how).jobs[name]


REFUSED = {
    "no job at all": (
        make_workflow(),
        "jobs: has no job: a workflow needs at least one",
    ),
    "a need that does not exist": (
        make_workflow().job("Train").job("Test").needs("train"),
        "jobs.Test.needs.0: 'train' is not a job; did you mean 'Train'?",
    ),
    "a need like no other": (
        make_workflow().job("a").needs("xyzzy").job("b"),
        "jobs.a.needs.0: 'xyzzy' is not a job; there are a, b",
    ),
    "a job that needs itself": (
        make_workflow().job("a").needs("a"),
        "jobs.a.needs.0: is the job itself",
    ),
    "a circle": (
        make_workflow().job("a").needs("b").job("b").needs("c").job("c").needs("a"),
        "jobs.a.needs: makes a circle: a needs b needs c needs a",
    ),
    "a job with the name of a reference": (
        make_workflow().job("workflow"),
        "jobs.workflow: is a reserved name: choose another",
    ),
    "no machine": (
        make_workflow().job("a").without("resources"),
        "jobs.a: names no machine: add resources.instance-type, here or under defaults",
    ),
    "a reference of four parts": (
        make_workflow().job("a").takes("x", "b.outputs.c.d"),
        ("jobs.a.inputs.x: 'b.outputs.c.d' is no reference: write JOB.outputs.NAME or "
        "workflow.inputs.NAME"),
    ),
    "a reference to a job's inputs": (
        make_workflow().job("a").takes("x", "b.inputs.c"),
        ("jobs.a.inputs.x: 'b.inputs.c' is no reference: write JOB.outputs.NAME or "
        "workflow.inputs.NAME"),
    ),
    "a reference to no job": (
        make_workflow().job("a").takes("x", "b.outputs.c"),
        "jobs.a.inputs.x: 'b' is not a job; there are a",
    ),
    "a reference to no output": (
        clone().job("a").needs("clone").takes("x", "clone.outputs.rep"),
        "jobs.a.inputs.x: 'rep' is not an output of 'clone'; did you mean 'repo'?",
    ),
    "a reference to a job without outputs": (
        make_workflow().job("b").job("a").takes("x", "b.outputs.c"),
        "jobs.a.inputs.x: 'c' is not an output of 'b'; it has none",
    ),
    "a reference to itself": (
        make_workflow().job("a").makes("x", "volume").takes("x", "a.outputs.x"),
        "jobs.a.inputs.x: comes from the job itself: name the job that makes it",
    ),
    "a circle through outputs alone": (
        make_workflow().job("a").makes("x", "volume").takes("y", "b.outputs.y")
        .job("b").makes("y", "volume").needs("a"),
        "jobs.a.needs: makes a circle: a needs b needs a",
    ),
    "a workflow input that is not declared": (
        make_workflow(inputs={"data": DATASET}).job("a").takes("x", "workflow.inputs.date"),
        "jobs.a.inputs.x: 'date' is not an input of the workflow; did you mean 'data'?",
    ),
    "a workflow input where there is none": (
        make_workflow().job("a").takes("x", "workflow.inputs.data"),
        "jobs.a.inputs.x: 'data' is not an input of the workflow; the workflow has none",
    ),
    "a volume as workflow input": (
        make_workflow(inputs={"v": {"type": "volume"}}).job("a").takes("x", "workflow.inputs.v"),
        "inputs.v.type: is of type 'volume'; a workflow takes datasets and strings",
    ),
    "a wrong default that two jobs take": (
        make_workflow(inputs={"d": DATASET | {"with": {}}})
        .job("a").takes("x", "workflow.inputs.d").job("b").takes("x", "workflow.inputs.d"),
        "inputs.d: is a dataset without with.ref: say which one",
    ),
    "a dataset without reference": (
        make_workflow().job("a").makes("d", "dataset"),
        "jobs.a.outputs.d: is a dataset without with.ref: say which one",
    ),
    "a dataset with a reference that is none": (
        make_workflow().job("a").takes("d", DATASET | {"with": {"ref": "my cats"}}),
        ("jobs.a.inputs.d.with.ref: 'my cats' is no dataset reference: write NAME, NAME:VERSION or "
        "NAMESPACE/NAME"),
    ),
    "a string without value": (
        make_workflow().job("a").takes("s", {"type": "string"}),
        "jobs.a.inputs.s: is a string without with.value",
    ),
    "more text than a Pod can carry": (
        make_workflow().job("a").takes("s", {"type": "string", "with": {"value": "é" * 98_305}}),
        ("jobs.a.inputs: hold strings of 196610 bytes, at most 196608 fit: hand large text on as a "
        "dataset"),
    ),
    "a script that no Linux starts": (
        make_workflow().job("a").uses("script@v1", image="bash:5", script="é" * 65_536),
        (
            "jobs.a.with: the script is 131072 bytes long, Linux takes 131071: put it into a file, "
            "in a repository or a dataset"
        ),
    ),
    "a variable that no Linux takes": (
        make_workflow().job("a").env(A="x" * 131_070),
        (
            "jobs.a.env.A: is 131072 bytes long, Linux takes 131071: put it into a file, in a "
            "repository or a dataset"
        ),
    ),
    "a job with a dot in its name": (
        make_workflow().job("a.b"),
        "jobs.a.b: has a dot, so that no reference can name it: use - or _ instead",
    ),
    "an output with a dot in its name": (
        make_workflow().job("a").makes("save.p", "volume"),
        "jobs.a.outputs.save.p: has a dot, so that no reference can name it: use - or _ instead",
    ),
    "a variable with a space in its name": (
        make_workflow().job("a").env(**{"MY VAR": "1"}),
        "jobs.a.env.MY VAR: is no name for a variable: use letters, digits and _",
    ),
    "a default variable that begins with a digit": (
        make_workflow(defaults={"env": {"1A": "1"}}).job("a"),
        "defaults.env.1A: is no name for a variable: use letters, digits and _",
    ),
    "an unknown action": (
        make_workflow().job("a").uses("script@v2", image="bash:5", args=[]),
        "jobs.a.uses: 'script@v2' is not an action; did you mean 'script@v1'?",
    ),
    "a download without address": (
        make_workflow().job("a").uses("s3-download@v1").makes("d", "dataset", "d"),
        "jobs.a.with: has no url: s3-download@v1 needs one",
    ),
    "a download from something else": (
        make_workflow().job("a").uses("s3-download@v1", url="https://x/y").makes("d", "volume"),
        (
            "jobs.a.with.url: must begin with s3://, as s3://bucket/folder/; a server goes into "
            "endpoint"
        ),
    ),
    "a download with half of a key": (
        make_workflow().job("a").uses("s3-download@v1", url="s3://x", **{"access-key": "x"})
        .makes("d", "volume"),
        (
            "jobs.a.with: has no secret-access-key: add it, or remove both keys to read a public "
            "bucket"
        ),
    ),
    "neither action nor parameters": (
        make_workflow().job("a").uses(None, args=["x"]).put("with", {"image": None}),
        ("jobs.a: has no action: add uses, one of container@v1, script@v1, git-checkout@v1, "
        "s3-download@v1, create-model@v1"),
    ),
    "a container without image": (
        make_workflow().job("a").uses("container@v1", args=["true"]),
        "jobs.a.with: has no image: container@v1 needs one",
    ),
    "a script without script": (
        make_workflow().job("a").uses("script@v1", image="bash:5"),
        "jobs.a.with: has no script: script@v1 needs one",
    ),
    "a blank image": (
        make_workflow().job("a").uses("container@v1", image=" "),
        "jobs.a.with: has no image: container@v1 needs one",
    ),
    "a parameter of another action": (
        make_workflow().job("a").uses("container@v1", image="bash:5", script="true"),
        "jobs.a.with.script: is no parameter of container@v1; it takes args, command, image",
    ),
    "a checkout without address": (
        make_workflow().job("a").uses("git-checkout@v1").makes("r", "volume"),
        "jobs.a.with: has no url: git-checkout@v1 needs one",
    ),
    "a checkout without a place": (
        make_workflow().job("a").uses("git-checkout@v1", url="https://x/y"),
        "jobs.a.with: has nowhere to put files: add an output of type volume or dataset",
    ),
    "a checkout with two places": (
        clone().makes("other", "volume"),
        "jobs.clone.with: has no path, and the job has 2 outputs to choose from: add path",
    ),
    "a download with two places": (
        make_workflow().job("a").uses("s3-download@v1", url="s3://x")
        .makes("d", "volume").makes("e", "dataset", "e"),
        "jobs.a.with: has no path, and the job has 2 outputs to choose from: add path",
    ),
    "a model without name": (
        make_workflow().job("a").uses("create-model@v1", type="Custom")
        .takes("model", DATASET | {"with": {"ref": "m"}}),
        "jobs.a.with: has no name: create-model@v1 needs one",
    ),
    "a model of unknown type": (
        make_workflow().job("a").uses("create-model@v1", name="m", type="PyTorch")
        .takes("model", DATASET | {"with": {"ref": "m"}}),
        "jobs.a.with.type: must be one of Tensorflow, ONNX, Custom",
    ),
    "a model of nothing": (
        make_workflow().job("a").uses("create-model@v1", name="m", type="Custom"),
        "jobs.a.inputs: must hold a dataset called model",
    ),
    "a model of a volume": (
        clone().job("a").needs("clone").uses("create-model@v1", name="m", type="Custom")
        .takes("model", "clone.outputs.repo"),
        "jobs.a.inputs: must hold a dataset called model",
    ),
    "a model that makes more than its id": (
        make_workflow().job("a").uses("create-model@v1", name="m", type="Custom")
        .takes("model", DATASET | {"with": {"ref": "m"}}).makes("weights", "volume"),
        "jobs.a.outputs.weights: is not made by create-model@v1: only string model-id is",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("builder", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_with_the_remedy(builder, sentence):
    found = [problem for problem in builder.problems() if problem.severity == "error"]
    assert [str(problem) for problem in found] == [sentence]


@pytest.mark.parametrize(
    ("reference", "says"),
    [("cats:v1", "names a version"), ("team/cats", "names another namespace")],
)
def test_an_output_is_a_new_version_of_a_dataset_of_its_namespace(reference, says):
    builder = make_workflow().job("a").makes("d", "dataset", reference)
    (problem,) = builder.problems()
    assert problem.severity == "warning"
    assert says in problem.message
    assert one(builder).outputs[0].dataset == DatasetReference("cats")


@pytest.mark.parametrize("value", ["context.github.url", "${{ github.repository }}", "context.url"])
def test_a_misspelt_placeholder_for_the_push_is_refused(value):
    builder = make_workflow().job("a").uses("git-checkout@v1", url=value).makes("r", "volume")
    assert [problem.rule for problem in builder.problems()] == ["bad-event"]


@pytest.mark.parametrize("value", ["github.com/a/b", "https://github.com/a/b", "$URL"])
def test_an_address_is_no_placeholder(value):
    builder = make_workflow().job("a").uses("git-checkout@v1", url=value).makes("r", "volume")
    assert builder.problems() == []


def test_a_parameter_of_another_action_changes_nothing():
    builder = make_workflow().job("a").uses("script@v1", image="x", script="y", username="me")
    (problem,) = builder.problems()
    assert (problem.rule, problem.severity) == ("unused-parameter", "warning")


def test_a_program_that_would_not_run_is_refused():
    builder = make_workflow().job("a").container(script="train")
    (problem,) = builder.problems()
    assert (problem.rule, problem.severity) == ("unknown-parameter", "error")


def test_errors_come_before_warnings():
    builder = clone().job("a").takes("r", "clone.outputs.repo").env(**{"1": "x"})
    assert [problem.severity for problem in builder.problems()] == ["error", "warning"]


def test_a_source_that_is_no_need_becomes_one_with_a_warning():
    builder = clone().job("a").takes("r", "clone.outputs.repo")
    assert [str(problem) for problem in builder.problems()] == [
        "jobs.a.inputs.r: comes from 'clone', which is not under needs: it is taken as a need"
    ]
    assert one(builder).needs == ("clone",)


def test_a_script_without_an_image_runs_in_the_operators_own_with_a_warning():
    builder = make_workflow().job("a").uses("script@v1", script="true")
    assert [(problem.rule, problem.severity) for problem in builder.problems()] == [
        ("no-image", "warning")
    ]
    assert one(builder).image == ""


def test_an_image_beside_with_counts_where_with_has_none():
    builder = make_workflow().job("a", image="beside:1").uses("script@v1", script="true")
    assert [(problem.rule, problem.severity) for problem in builder.problems()] == [
        ("misplaced-image", "warning")
    ]
    assert one(builder).image == "beside:1"
    within = make_workflow().job("a", image="beside:1")
    within.uses("script@v1", script="true", image="within:1")
    assert one(within).image == "within:1"


def test_the_type_of_a_model_may_be_spelled_in_any_case():
    builder = make_workflow().job("a").uses("create-model@v1", name="m", type="tensorflow")
    builder.takes("model", {"type": "dataset", "with": {"ref": "d"}})
    model = one(builder).model
    assert model is not None
    assert model.type == "Tensorflow"


def test_a_source_further_up_needs_no_warning():
    builder = clone().job("b").needs("clone").job("a").needs("b").takes("r", "clone.outputs.repo")
    assert builder.problems() == []
    assert one(builder).needs == ("b",)


def test_a_need_named_twice_counts_once():
    assert one(make_workflow().job("b").job("a").needs("b", "b")).needs == ("b",)


def test_jobs_stand_after_their_needs_and_know_their_dependents():
    workflow = make_workflow().job("c").needs("b").job("b").needs("a").job("a").job("d").compile()
    assert list(workflow.jobs) == ["a", "d", "b", "c"]
    assert workflow.dependents == {"a": ("b",), "b": ("c",), "c": (), "d": ()}


def test_more_needs_than_a_plan_can_bear_are_refused():
    builder = make_workflow()
    for number in range(202):
        builder.job(f"j{number}").needs(*(f"j{other}" for other in range(number)))
    assert [problem.rule for problem in builder.problems()] == ["too-many-needs"]


def test_the_text_of_all_jobs_together_is_bounded():
    builder = make_workflow().job("a").env(**{f"V{number}": "x" * 100_000 for number in range(5)})
    builder.job("b").uses("container@v1", image="bash:5", args=["x" * 24_284])
    assert builder.problems() == []
    builder.uses("container@v1", image="bash:5", args=["x" * 24_284, "x"])
    (problem,) = builder.problems()
    assert str(problem).startswith("jobs: have 524289 characters of scripts, arguments and")
    assert problem.rule == "too-large"


class TestMachine:
    def test_the_jobs_own_wins(self):
        builder = make_workflow(defaults={"resources": {"instance-type": "C5"}}).job("a").on("C4")
        assert one(builder).instance_type == "C4"

    def test_the_default_stands_in(self):
        builder = make_workflow(defaults={"resources": {"instance-type": "C5"}}).job("a")
        assert one(builder.without("resources")).instance_type == "C5"

    def test_a_model_needs_none(self):
        builder = make_workflow().job("a").uses("create-model@v1", name="m", type="ONNX")
        builder.takes("model", DATASET | {"with": {"ref": "m"}}).without("resources")
        assert one(builder).instance_type == ""

    def test_registries_come_from_the_defaults(self):
        resources = {"container-registries": ["hub"], "instance-type": "C4"}
        builder = make_workflow(defaults={"resources": resources}).job("a")
        assert one(builder).registries == ("hub",)

    def test_a_jobs_own_registries_win(self):
        builder = make_workflow(defaults={"resources": {"container-registries": ["hub"]}}).job("a")
        builder.put("resources", {"instance-type": "C4", "container-registries": ["ghcr"]})
        assert one(builder).registries == ("ghcr",)


class TestEnvironment:
    def test_the_jobs_own_variables_win_over_the_defaults(self):
        builder = make_workflow(defaults={"env": {"A": "1", "B": "2"}}).job("a").env(B="3", C="4")
        assert one(builder).env == (EnvVar("A", "1"), EnvVar("B", "3"), EnvVar("C", "4"))

    @pytest.mark.parametrize("key", ["TOKEN", "my-token", "a.b_c"])
    def test_a_secret_is_named_and_not_copied(self, key):
        builder = make_workflow().job("a").env(T=f"secret:{key}")
        assert one(builder).env == (EnvVar("T", secret_key=key),)

    @pytest.mark.parametrize("value", ["secret:", "a secret:TOKEN", "secret:A B", "Secret:A"])
    def test_what_only_looks_like_a_secret_is_text(self, value):
        assert one(make_workflow().job("a").env(T=value)).env == (EnvVar("T", value),)
