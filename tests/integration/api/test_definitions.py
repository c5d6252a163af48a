"""The CRDs on a real API server: what it stores, what it refuses, and in which words."""

import json
from pathlib import Path

import pytest
import yaml

from gradient_operator.api import crd
from tests.integration.api.objects import fan, job, run, thing, version, workflow

pytestmark = pytest.mark.integration

BARE_ON = """
apiVersion: gradient.run/v1alpha1
kind: GradientWorkflow
metadata: {name: %s}
spec:
  on:
    github: {branches: {only: main}}
  jobs:
    A: {uses: script@v1, with: {script: "true", image: "bash:5"}}
"""


@pytest.mark.parametrize("kind", crd.ALL, ids=lambda kind: kind.name)
def test_every_definition_is_established_and_has_no_structural_fault(kubectl, kind):
    conditions = kubectl.get(f"crd/{crd.crd(kind)['metadata']['name']}")["status"]["conditions"]
    status = {each["type"]: each["status"] for each in conditions}
    assert status["Established"] == "True"
    assert "NonStructuralSchema" not in status


@pytest.mark.parametrize("server_side", [False, True])
def test_a_bare_on_reaches_the_operator(kubectl, server_side):
    name = f"bare-on-{server_side}".lower()
    answer = kubectl.apply(BARE_ON % name, server_side=server_side)
    assert answer.code == 0, answer.text
    spec = kubectl.get(f"gwf/{name}")["spec"]
    parsed = crd.WorkflowSpec.model_validate(spec)
    assert parsed.on.github.branches.only == "main"


@pytest.mark.parametrize("server_side", [False, True])
def test_a_misspelt_key_is_kept_wherever_it_stands(kubectl, server_side):
    name = f"misspelt-{server_side}".lower()
    jobs = {"A": job(ned=["B"], outputs={"o": {"type": "volume", "wth": {}}})}
    document = workflow(name, jobs, polcy={}, policy={"retris": 1}, defaults={"envv": {}})
    answer = kubectl.apply(document, server_side=server_side)
    assert answer.code == 0, answer.text
    assert kubectl.get(f"gwf/{name}")["spec"] == document["spec"]


ASKED = {"size": {"type": "choice", "options": ["a", "b"]}, "dry": {"type": "boolean"}}


@pytest.mark.parametrize("concurrency", ["gpu", {"group": "gpu", "cancel-in-progress": True}])
def test_triggers_and_groups_are_stored_as_they_were_written(kubectl, concurrency):
    asked = ASKED | {"rounds": {"type": "number", "default": 5}, "on": {"default": True}}
    on = {
        "schedule": [{"cron": "30 6 * * *"}, {"cron": "0 0 1 * *", "timezone": "Europe/Berlin"}],
        "manual": {"inputs": asked},
    }
    name = f"triggers-{type(concurrency).__name__}"
    document = workflow(name, {"A": job()}, on=on, concurrency=concurrency)
    answer = kubectl.apply(document)
    assert answer.code == 0, answer.text
    assert kubectl.get(f"gwf/{name}")["spec"] == document["spec"]


@pytest.mark.parametrize(
    "on",
    [
        {"manual": True},
        {"schedule": {"cron": "0 0 * * *"}},
        {"schedule": [{"timezone": "UTC"}]},
        {"schedule": [{"cron": "0 0 * * *"}] * 17},
        {"manual": {"inputs": {"a": {"type": "environment"}}}},
    ],
    ids=str,
)
def test_triggers_of_another_shape_are_refused(kubectl, on):
    answer = kubectl.apply(workflow("wrong-trigger", {"A": job()}, on=on))
    assert answer.code != 0
    assert f"spec.on.{next(iter(on))}" in answer.text


def test_a_misspelt_key_of_a_run_is_kept(kubectl):
    document = run("misspelt", inputs={"a": {"vaule": "1"}}, trigger={"knd": "Spec"}, cancle=True)
    assert kubectl.create(document).code == 0
    assert kubectl.get("gwr/misspelt")["spec"] == document["spec"]


def test_a_misspelt_key_of_a_dataset_is_refused_by_name(kubectl):
    answer = kubectl.apply(thing("GradientDataset", "misspelt", {"readableFrm": ["b"]}))
    assert answer.code != 0
    assert "readableFrm" in answer.text


REFUSED = {
    "unknown need": (
        {"A": job(), "B": job("A", "C")},
        "every name in `needs` must be the name of another job: look at job B",
    ),
    "own need": (
        {"A": job("A")},
        "every name in `needs` must be the name of another job: look at job A",
    ),
    "dataset without a name": (
        {"A": job(outputs={"o": {"type": "dataset"}})},
        "an output of type dataset must name the dataset under `with.ref`",
    ),
    "dataset reference": (
        {"A": job(outputs={"o": {"type": "dataset", "with": {"ref": "my cats"}}})},
        "spec.jobs.A.outputs.o.with.ref",
    ),
    "unknown output type": (
        {"A": job(outputs={"o": {"type": "model"}})},
        'supported values: "dataset", "string", "volume"',
    ),
    "number as variable": (
        {"A": job(env={"N": 1})},
        "spec.jobs.A.env.N: Invalid value",
    ),
    "dense graph": (
        {f"J{n:03}": job(*(f"J{m:03}" for m in range(n))) for n in range(300)},
        "the lists `needs` of all jobs together may hold at most 20000 names",
    ),
    "many variables": (
        fan(998, env={f"V{n}": "x" for n in range(128)}),
        "all jobs together may have at most 40000 variables",
    ),
    "ten thousand jobs": (fan(9_998), "must have at most 2048 items"),
    "1.2 MiB of scripts": (
        fan(8, **{"with": {"image": "bash:5", "script": "x" * 125_829}}),
        "the scripts and arguments of all jobs together may have at most 524288 characters",
    ),
    "600 kB of arguments": (
        {"A": job(**{"with": {"args": ["x" * 200_000] * 3}})},
        "the scripts and arguments of all jobs together may have at most 524288 characters",
    ),
    "600 kB of variables": (
        {"B": job(env={f"V{n}": "x" * 200_000 for n in range(3)})},
        "all jobs together may have at most 40000 variables, with 524288 characters",
    ),
    "the fewest jobs with too many needs": (
        {f"J{n}": job(*["J0"] * 2_048) for n in range(1, 11)} | {"J0": job()},
        "the lists `needs` of all jobs together may hold at most 20000 names",
    ),
    "the fewest jobs with too many arguments": (
        {f"J{n}": job(**{"with": {"args": ["x"] * 256}}) for n in range(157)},
        "characters, and 40000 arguments: move code into an image",
    ),
    "the fewest jobs with too many variables": (
        {f"J{n}": job(env={f"V{m}": "" for m in range(128)}) for n in range(313)},
        "all jobs together may have at most 40000 variables",
    ),
}


@pytest.mark.parametrize(("jobs", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_refused_in_words(kubectl, jobs, sentence):
    answer = kubectl.create(workflow("refused", jobs))
    assert answer.code != 0
    assert sentence in answer.text
    assert "cost limit" not in answer.text


@pytest.mark.parametrize("make", [lambda name: workflow(name, {"A": job()}), run])
def test_a_name_that_fits_into_no_label_is_refused(kubectl, make):
    answer = kubectl.create(make("a" * 64))
    assert "metadata.name may have at most 63 characters" in answer.text
    assert kubectl.create(make("a" * 63)).code == 0


@pytest.mark.parametrize("case", ["unknown need", "own need", "dense graph", "many variables"])
def test_the_rules_hold_for_the_definition_of_a_run(kubectl, case):
    jobs, sentence = REFUSED[case]
    answer = kubectl.create(run("refused", definition={"jobs": jobs}))
    assert answer.code != 0
    assert sentence in answer.text


def test_a_thousand_jobs_are_taken(kubectl):
    answer = kubectl.create(workflow("thousand", fan(998)))
    assert answer.code == 0, answer.text
    assert len(kubectl.get("gwf/thousand")["spec"]["jobs"]) == 1_000


@pytest.mark.parametrize("width", [9, 256])
def test_the_most_that_the_rules_allow_stays_below_their_cost(kubectl, width):
    """Wherever a job's list of needs ends among those that are looked at."""
    names = [f"J{n:04}" for n in range(2_048)]
    last = min(2_048, width + 20_000 // width)
    needs = [names[n - width : n] if width <= n < last else [] for n in range(2_048)]
    env = {f"V{n}": "x" * 12 for n in range(19)}
    jobs = {name: job(*before, env=env) for name, before in zip(names, needs, strict=True)}
    answer = kubectl.create(workflow(f"most-{width}", jobs))
    assert answer.code == 0, answer.text


def test_a_run_of_two_thousand_jobs_with_all_its_text_has_room_for_their_status(kubectl):
    text = {"with": {"image": "bash:5", "script": "x" * 260}}
    created = kubectl.create(run("full", definition={"jobs": fan(2_000, **text)}))
    assert created.code == 0, created.text
    status = {"phase": "Failed", "pod": "p" * 80, "podUID": "u" * 36, "message": "m" * 80}
    assert len(json.dumps({"M00001": status}, separators=(",", ":"))) >= 250
    jobs = dict.fromkeys(fan(2_000), status)
    patched = kubectl(
        "patch", "gwr/full", "--subresource=status", "--type=merge", "--patch-file=/dev/stdin",
        document={"status": {"jobs": jobs}},
    )  # fmt: skip
    assert patched.code == 0, patched.text
    assert kubectl.get("gwr/full")["status"]["jobs"] == jobs


def test_the_owners_of_single_fields_are_not_recorded(kubectl):
    assert kubectl.apply(workflow("owned", fan(998))).code == 0
    answer = kubectl("get", "gwf/owned", "-o", "json", "--show-managed-fields")
    fields = json.loads(answer.output)["metadata"]["managedFields"]
    assert len(json.dumps(fields)) < 40_000


COLUMNS = {
    "gwf": ["ACCEPTED", "JOBS", "LAST RUN", "PHASE", "NEXT RUN", "AGE", "MESSAGE"],
    "gwr": ["WORKFLOW", "PHASE", "PROGRESS", "AGE", "ARCHIVED", "MESSAGE"],
    "gds": [
        "LATEST",
        "VERSIONS",
        "SIZE",
        "FILES",
        "TAGS",
        "READY",
        "AGE",
        "MESSAGE",
        "DESCRIPTION",
    ],
    "gdv": [
        "DATASET",
        "VERSION",
        "TAGS",
        "SIZE",
        "FILES",
        "MADE BY",
        "USED BY",
        "AGE",
        "EXPIRES",
        "MESSAGE",
    ],
    "gsp": ["ENDPOINT", "BUCKET", "READY", "AGE", "MESSAGE"],
    "gin": ["TYPE", "CPU", "MEMORY", "GPU", "PRICE", "GPU MODEL", "DESCRIPTION"],
    "gmodel": ["MODEL", "TYPE", "DATASET", "VERSION", "MADE BY", "AGE", "JOB"],
}
EXAMPLES = {
    "gwf": workflow("columns", {"A": job()}),
    "gwr": run("columns", workflow="w"),
    "gds": thing("GradientDataset", "columns", {}),
    "gdv": version("columns"),
    "gsp": thing(
        "GradientStorageProvider",
        "columns",
        {"endpoint": "http://s3:8333", "bucket": "cats", "credentialsSecret": "s"},
    ),
    "gin": thing("GradientInstanceType", "columns", {"name": "Columns"}),
    "gmodel": thing(
        "GradientModel",
        "columns",
        version("columns")["spec"] | {"name": "m", "type": "Custom", "files": None, "bytes": None},
    ),
}


@pytest.mark.parametrize("short", COLUMNS)
def test_kubectl_shows_the_columns_by_the_short_name(kubectl, short):
    example = EXAMPLES[short]
    spec = {key: value for key, value in example["spec"].items() if value is not None}
    applied = kubectl.apply(example | {"spec": spec})
    assert applied.code == 0, applied.text
    heading = kubectl("get", short, "-o", "wide").output.splitlines()[0]
    if short == "gin":
        kubectl("delete", "gin/columns")
    assert [" ".join(each.split()) for each in heading.split("  ") if each.strip()] == [
        "NAME",
        *COLUMNS[short],
    ]


IDENTITY = {"roleArn": "arn:aws:iam::123456789012:role/data"}


@pytest.mark.parametrize(
    ("opened_by", "taken"),
    [
        ({"webIdentity": IDENTITY}, True),
        ({"webIdentity": IDENTITY, "credentialsSecret": "s"}, False),
        ({}, False),
    ],
)
def test_a_bucket_is_opened_by_a_secret_or_by_an_identity(kubectl, opened_by, taken):
    spec = {"endpoint": "http://s3:8333", "bucket": "cats"} | opened_by
    answer = kubectl.create(thing("GradientStorageProvider", "opened", spec))
    if taken:
        kubectl("delete", "gsp/opened")
    assert (answer.code == 0) is taken, answer.text
    assert taken or "either credentialsSecret or webIdentity" in answer.text


def test_runs_are_selected_by_their_workflow_and_phase(kubectl):
    assert kubectl.create(run("selected", workflow="chosen")).code == 0
    assert kubectl.create(run("other", workflow="another")).code == 0
    answer = kubectl("get", "gwr", "--field-selector=spec.workflow=chosen", "-o", "name")
    assert answer.output.split() == ["gradientrun.gradient.run/selected"]
    patched = kubectl.patch("gwr/other", {"status": {"phase": "Failed"}}, "--subresource=status")
    assert patched.code == 0, patched.text
    answer = kubectl("get", "gwr", "--field-selector=status.phase=Failed", "-o", "name")
    assert "gradientrun.gradient.run/other" in answer.output.split()


def test_all_kinds_of_a_namespace_are_listed_by_their_category(kubectl):
    assert kubectl.apply(workflow("listed", {"A": job()})).code == 0
    answer = kubectl("get", "gradient", "-o", "name")
    assert "gradientworkflow.gradient.run/listed" in answer.output.split()


@pytest.mark.parametrize("name", ["instance-types.yaml", "pools/instance-types.yaml"])
def test_the_catalogue_of_machine_types_is_taken(kubectl, name):
    path = Path(__file__).parents[3] / "manifests/instance-types" / name
    answer = kubectl("apply", "--server-side", "--dry-run=server", "-f", str(path))
    assert answer.code == 0, answer.text
    assert len(answer.output.splitlines()) == len([*yaml.safe_load_all(path.read_text())])
