"""The inputs of `on.manual`: string inputs of the workflow that are checked when a run is started.

They have the shape of GitHub's `workflow_dispatch.inputs`. Pure; problems go into the compilation.
"""

import math
from collections.abc import Mapping

from gradient_operator.api.run import RunInput
from gradient_operator.api.triggers import ManualInput
from gradient_operator.api.workflow import GradientFile, WorkflowInput
from gradient_operator.workflow.state import Compilation

_BOOLEANS = ("true", "false")


def asked_for(file: GradientFile) -> Mapping[str, ManualInput]:
    """The inputs of `on.manual`, by name."""
    manual = file.on.manual if file.on is not None else None
    return (manual.inputs or {}) if manual is not None else {}


def with_manual_inputs(file: GradientFile) -> GradientFile:
    """The file with the inputs of `on.manual` among its `inputs`, where jobs look for them.

    The file's own win where both have a name; `check` refuses that.
    """
    asked = asked_for(file)
    if not asked:
        return file
    extra = {
        name: WorkflowInput.model_validate({"type": "string", "with": {"value": _default(item)}})
        for name, item in asked.items()
    }
    return file.model_copy(update={"inputs": {**extra, **(file.inputs or {})}})


def check(state: Compilation, *, own: Mapping[str, WorkflowInput]) -> None:
    """Note what is wrong with `on.manual.inputs`; `own` are the `inputs` as the file has them."""
    for name, item in asked_for(state.file).items():
        path = ("on", "manual", "inputs", name)
        if name in own:
            text = "stands under `inputs` as well: give one of them another name"
            state.error(path, text, "duplicate-input")
        _check_declaration(state, path, item)
        if state.given is not None:
            _check_value(state, name, item, state.given.get(name))


def describe(item: ManualInput) -> str:
    """What may be given, in a few words: `one of small, large: The size of the model`."""
    what = {
        "string": "text",
        "number": "a number",
        "boolean": "true or false",
        "choice": f"one of {', '.join(item.options or ())}",
    }[item.type]
    return f"{what}: {item.description.strip()}" if item.description else what


def _default(item: ManualInput) -> str:
    """The text of the default; without one a boolean is false, and all others are empty."""
    if item.default is None:
        return "false" if item.type == "boolean" else ""
    return _text(item.default)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_declaration(state: Compilation, path: tuple[str, ...], item: ManualInput) -> None:
    if item.type == "choice" and not item.options:
        text = "is a choice without `options`: list the values that may be given"
        state.error(path, text, "manual-input")
        return
    if item.type != "choice" and item.options is not None:
        text = f"is for inputs of type choice, but this one is a {item.type}"
        state.error((*path, "options"), text, "manual-input")
    wrong = None if item.default is None else _wrong(item, _text(item.default))
    if wrong is not None:
        state.error((*path, "default"), wrong, "manual-input")


def _check_value(state: Compilation, name: str, item: ManualInput, given: RunInput | None) -> None:
    if given is None:
        if item.required and item.default is None:
            text = (
                f"is asked for and was not given ({describe(item)}): "
                f"start the run with --input {name}=VALUE"
            )
            state.error(("on", "manual", "inputs", name), text, "missing-input")
        return
    if given.value is None:
        state.error(("inputs", name), "is a text: give it as `value`", "manual-input")
        return
    empty = not given.value and item.default is None and not item.required
    wrong = None if empty else _wrong(item, given.value)
    if wrong is not None:
        state.error(("inputs", name), wrong, "manual-input")


def _wrong(item: ManualInput, text: str) -> str | None:
    """Why the text is no value of this input; None if it is one."""
    if item.type == "choice" and text not in (item.options or ()):
        return f"is {text!r}, but must be one of {', '.join(item.options or ())}"
    if item.type == "boolean" and text not in _BOOLEANS:
        return f"is {text!r}, but must be true or false"
    if item.type == "number" and not _is_number(text):
        return f"is {text!r}, but must be a number"
    return None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
