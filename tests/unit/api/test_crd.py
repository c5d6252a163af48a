import re
from pathlib import Path

import pytest
import yaml

from gradient_operator.api import crd
from gradient_operator.api.generated import render
from gradient_operator.api.names import KINDS
from gradient_operator.api.workflow import DATASET_REFERENCE, WorkflowSpec
from gradient_operator.workflow.references import ReferenceProblem, parse_dataset

FOLDER = Path(__file__).parents[3] / "crds"
# https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions
STRUCTURAL = {
    "type", "format", "description", "enum", "pattern", "minLength", "maxLength", "minimum",
    "maximum", "maxItems", "maxProperties", "required", "items", "properties",
    "additionalProperties", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
    "x-kubernetes-map-type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip
OPEN = "x-kubernetes-preserve-unknown-fields"


def schema_of(kind):
    return crd.crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema, path=""):
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


def own_nodes(kind, *, within=""):
    """Without what Kubernetes gives every object."""
    general = {"", ".apiVersion", ".kind", ".metadata"}
    for path, node in nodes(schema_of(kind)):
        if path not in general and path.startswith(within):
            yield path, node


def is_bounded(node):
    match node.get("type"):
        case "array":
            return "maxItems" in node
        case "string":
            return "enum" in node or "maxLength" in node
        case "object":
            return "properties" in node or "maxProperties" in node
    return True


def is_structural(node):
    return (
        set(node) <= STRUCTURAL
        and ("type" in node or node.get(OPEN))
        and not ("properties" in node and "additionalProperties" in node)
        and set(node.get("required", [])) <= set(node.get("properties", {}))
    )


EVERY_KIND = pytest.mark.parametrize("kind", crd.ALL, ids=lambda kind: kind.name)
FILE_KINDS = {"GradientWorkflow", "GradientRun"}


def test_the_committed_files_are_what_the_models_say(capsys):
    assert crd.main(["--check", str(FOLDER)]) == 0, capsys.readouterr().err
    assert {path.name for path in FOLDER.glob("*.yaml")} == set(crd.files())


def test_a_stale_file_is_named_with_the_command_that_renews_it(tmp_path, capsys):
    assert crd.main([str(tmp_path)]) == 0
    (tmp_path / "gradientruns.yaml").write_text("old")
    assert crd.main(["--check", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "gradientruns.yaml" in message
    assert "gradientmodels.yaml" not in message
    assert crd.COMMAND in message


def test_a_missing_file_is_stale(tmp_path):
    assert crd.main(["--check", str(tmp_path)]) == 1


def test_every_kind_has_a_definition_and_a_short_name_of_its_own():
    assert {kind.name for kind in crd.ALL} == set(KINDS)
    assert sorted(kind.short for kind in crd.ALL) == sorted(
        ["gwf", "gwr", "gds", "gdv", "gsp", "gin", "gmodel"]
    )


@EVERY_KIND
def test_a_definition_stays_below_its_size(kind):
    text = render([crd.crd(kind)], command=crd.COMMAND)
    assert len(text.encode()) < 200_000
    assert yaml.safe_load(text) == crd.crd(kind)
    assert "&id" not in text


@EVERY_KIND
def test_every_node_is_structural(kind):
    assert [path for path, node in nodes(schema_of(kind)) if not is_structural(node)] == []


@EVERY_KIND
def test_every_list_map_and_string_has_a_bound(kind):
    assert [path for path, node in own_nodes(kind) if not is_bounded(node)] == []


@EVERY_KIND
def test_only_files_and_runs_keep_unknown_keys_and_they_do_everywhere(kind):
    within = [(path, node) for path, node in own_nodes(kind, within=".spec")]
    keep = {path for path, node in within if "properties" in node and OPEN in node}
    parts = {path for path, node in within if "properties" in node}
    assert keep == (parts if kind.name in FILE_KINDS else set())
    assert not [path for path, node in own_nodes(kind, within=".status") if OPEN in node]


@pytest.mark.parametrize("name", ["GradientWorkflow", "GradientRun"])
def test_the_key_true_has_the_schema_of_on(name):
    (kind,) = [each for each in crd.ALL if each.name == name]
    spec = schema_of(kind)["properties"]["spec"]["properties"]
    file = spec.get("definition", {}).get("properties", spec)
    assert {**file["true"], "description": ""} == {**file["on"], "description": ""}
    assert WorkflowSpec.model_validate({"true": {"github": {}}}).on is not None


@EVERY_KIND
def test_columns_and_selectable_fields_exist(kind):
    known = {path for path, _ in nodes(schema_of(kind))} | {".metadata.creationTimestamp"}
    version = crd.crd(kind)["spec"]["versions"][0]
    columns = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    plain = [path.split("[")[0] for path in columns]
    selectable = [field["jsonPath"] for field in version.get("selectableFields", [])]
    assert set(plain) | set(selectable) <= known
    assert len(selectable) <= 8


def test_each_jobs_status_is_one_value_for_the_api_server():
    (run,) = [each for each in crd.ALL if each.name == "GradientRun"]
    jobs = schema_of(run)["properties"]["status"]["properties"]["jobs"]
    assert jobs["additionalProperties"]["x-kubernetes-map-type"] == "atomic"


@pytest.mark.parametrize(
    "reference",
    [
        "cats",
        "Cats_2",
        "cats:latest",
        "cats:abcdefgh2345",
        "ns/cats",
        "ns/cats:v1",
        "ds1a.b",
        "a/b/c",
        "cats:",
        "/cats",
        "cats:a:b",
        "-cats",
        "ns_1/cats",
        "cats@sha256",
        "cats:v/1",
    ],
)
def test_the_pattern_of_dataset_references_agrees_with_their_reader(reference):
    try:
        parse_dataset(reference)
        readable = True
    except ReferenceProblem:
        readable = False
    assert bool(re.match(DATASET_REFERENCE, reference)) == readable
