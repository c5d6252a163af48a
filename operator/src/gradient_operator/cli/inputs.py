"""What the options of `gradient run` give: values for inputs, and settings of the policy."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradient_operator.cli.errors import CommandError

Given = dict[str, dict[str, str]]
"""Input to `{"ref": …}` for a dataset, `{"value": …}` for a string, as in a run's spec."""


def declared_inputs(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What a run may be given, by name: the inputs of a definition and those of its `on.manual`."""
    place: Any = spec
    for key in ("on", "manual", "inputs"):
        place = place.get(key) if isinstance(place, dict) else None
    asked = place if isinstance(place, dict) else {}
    return {**asked, **(spec.get("inputs") or {})}


def read_inputs(
    pairs: Sequence[str], file: str | None, declared: Mapping[str, Mapping[str, Any]]
) -> Given:
    """The values for the inputs that a workflow declares; `pairs` (NAME=VALUE) win over the file.

    The file is YAML or JSON and maps a name to its text, or to `{ref: …}` or `{value: …}` as the
    hosted service had it.

    Raises:
        CommandError: a pair is malformed or names no input, or the file has another shape.
        FileProblem: the file is no YAML.
    """
    given = _read_file(file) if file is not None else {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise CommandError(f"--input {pair!r} is not NAME=VALUE: write it so.")
        given[name] = value
    return {name: _shape(name, value, declared) for name, value in given.items()}


def read_policy(pairs: Sequence[str]) -> dict[str, Any]:
    """The policy that options such as `retries=2` and `volumes.mode=Copy` make.

    Raises:
        CommandError: a pair is malformed.
    """
    from gradient_operator.workflow.loader import FileProblem, load

    policy: dict[str, Any] = {}
    for pair in pairs:
        path, separator, text = pair.partition("=")
        keys = path.split(".")
        if not separator or not all(keys):
            raise CommandError(f"--policy {pair!r} is not KEY=VALUE, as retries=2: write it so.")
        try:
            value = load(f"value: {text}", source="--policy").data["value"]
        except FileProblem as problem:
            raise CommandError(f"--policy {pair!r}: {problem.message}.") from None
        place = policy
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise CommandError(f"--policy {path} contradicts another --policy: keep one.")
        place[keys[-1]] = value
    return policy


def _read_file(path: str) -> dict[str, Any]:
    from gradient_operator.workflow.loader import decode, load

    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise CommandError(f"There is no file {path}: check --inputs-file.") from None
    content = load(decode(raw, source=path), source=path).data
    inner = content.get("inputs")
    return inner if len(content) == 1 and isinstance(inner, dict) else content


def _shape(name: str, value: Any, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    if name not in declared:
        near = difflib.get_close_matches(name, declared, n=1)
        known = ", ".join(declared) or "none"
        hint = f"did you mean {near[0]!r}?" if near else f"its inputs: {known}."
        raise CommandError(f"The workflow has no input {name!r}: {hint}")
    kind = (declared[name] or {}).get("type")
    key = "ref" if kind == "dataset" else "value"
    if kind in {"number", "boolean"} and isinstance(value, int | float):
        value = str(value).lower()
    if isinstance(value, dict):
        if len(value) == 1 and all(
            part in {"ref", "id", "value"} and isinstance(text, str) for part, text in value.items()
        ):
            return value
        raise CommandError(f"Input {name!r} must be a text, or {{{key}: TEXT}}: correct the file.")
    if not isinstance(value, str):
        raise CommandError(f"Input {name!r} must be a text: put {value!r} into quotes.")
    return {key: value}
