"""JSON Schema of a Gradient file, for editors: completes and checks while a file is written.

    python -m gradient_operator.workflow.schema [--check] schemas/gradient-workflow.schema.json

Made from the models that read files. Draft 7 is what editors know best. It says less than `gradient
lint`: whether a name is the name of a job no schema can say.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gradient_operator.api.catalogue import hosted
from gradient_operator.api.structural import field_docs, models_within
from gradient_operator.api.workflow import DATASET_REFERENCE, GradientFile
from gradient_operator.workflow.model import Action

Schema = dict[str, Any]

COMMAND: Final = "python -m gradient_operator.workflow.schema schemas/gradient-workflow.schema.json"
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_JOB_REFERENCE: Final = r"^\s*(workflow\.inputs\.[^.\s]+|[^.\s]+\.outputs\.[^.\s]+)\s*$"
_SPACED_REFERENCE: Final = rf"^\s*{DATASET_REFERENCE.removeprefix('^').removesuffix('$')}\s*$"
_SCHEMAS: Final = ("items", "additionalProperties")
_MAPS: Final = ("properties", "patternProperties", "definitions")


def schema() -> Schema:
    """The schema, as plain data."""
    source = GradientFile.model_json_schema(by_alias=True)
    source["definitions"] = source.pop("$defs")
    docs = {model.__name__: field_docs(model) for model in models_within(GradientFile)}
    made = _convert(source, docs | {"GradientFile": field_docs(GradientFile)})
    _suggest(made["definitions"])
    properties = made["properties"]
    properties["true"] = {**properties["on"], "description": "What YAML 1.1 makes of a bare `on`."}
    properties["jobs"]["minProperties"] = 1
    del properties["jobs"]["default"]
    return {
        "$schema": _DIALECT,
        "title": "Gradient workflow file",
        **made,
        "required": ["jobs"],
    }


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _convert(node: Schema, docs: Mapping[str, Mapping[str, str]]) -> Schema:
    """Without titles and what only Kubernetes reads; with the docstrings of the fields."""
    made: Schema = {}
    for key, value in node.items():
        if key == "title" or key.startswith("x-kubernetes-"):
            continue
        if key == "$ref":
            made[key] = value.replace("#/$defs/", "#/definitions/")
        elif key in _MAPS:
            made[key] = {name: _convert(child, docs) for name, child in value.items()}
        elif key == "anyOf":
            made |= _either([_convert(child, docs) for child in value])
        elif key in _SCHEMAS and isinstance(value, dict):
            made[key] = _convert(value, docs)
        else:
            made[key] = value
    if "patternProperties" in made:
        made["additionalProperties"] = False
    said = docs.get(node.get("title", ""), {})
    for name in made.get("properties", {}).keys() & said.keys():
        made["properties"][name]["description"] = " ".join(said[name].split())
    return {key: value for key, value in made.items() if (key, value) != ("default", None)}


def _either(options: list[Schema]) -> Schema:
    """One of several forms; null beside a single plain form becomes a second type."""
    others = [option for option in options if option.get("type") != "null"]
    if len(others) == 1 and len(options) > 1 and isinstance(others[0].get("type"), str):
        allowed = {"enum": [*others[0]["enum"], None]} if "enum" in others[0] else {}
        return {**others[0], "type": [others[0]["type"], "null"], **allowed}
    return {"anyOf": options}


def _suggest(definitions: dict[str, Schema]) -> None:
    """What the models leave open and an editor can offer."""
    uses = definitions["Job"]["properties"]["uses"]
    uses |= {"enum": [*(action.value for action in Action), None]}
    machine = definitions["Resources"]["properties"]["instance-type"]
    names = [item["spec"]["name"] for item in hosted()]
    open_form = {key: machine.pop(key) for key in ("type", "minLength", "maxLength")}
    machine["anyOf"] = [{"enum": names}, open_form]
    source = definitions["SlotSource"]["properties"]
    for key in ("ref", "id"):
        source[key]["pattern"] = _SPACED_REFERENCE
        source[key]["examples"] = ["flowers", "flowers:latest", "team-vision/flowers:gold"]
    inputs = definitions["Job"]["properties"]["inputs"]["patternProperties"]
    for forms in inputs.values():
        forms["anyOf"][0] |= {
            "pattern": _JOB_REFERENCE,
            "examples": ["workflow.inputs.NAME", "JOB.outputs.NAME"],
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or with `--check` compare it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gradient_operator.workflow.schema")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("file", type=Path, help="schemas/gradient-workflow.schema.json")
    given = parser.parse_args(arguments)
    made = text()
    if not given.check:
        given.file.parent.mkdir(parents=True, exist_ok=True)
        given.file.write_text(made, encoding="utf-8")
    elif not given.file.is_file() or given.file.read_text(encoding="utf-8") != made:
        sys.stderr.write(f"out of date: {given.file}; run `{COMMAND}` and commit\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
