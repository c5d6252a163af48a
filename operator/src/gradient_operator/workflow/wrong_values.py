"""What pydantic says against a value, in words for the person who wrote it."""

from typing import Any, Final

from pydantic_core import ErrorDetails

from gradient_operator.workflow.nearest import nearest_key

_SAYS: Final = {
    "string_type": "must be a string: put it in quotes",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "bool_type": "must be true or false",
    "missing": "is missing",
}
_TYPES: Final = ("dataset", "string", "volume")
_LONGEST_SHOWN: Final = 40


def wrong_value(details: ErrorDetails) -> str:
    """The sentence, as it reads after the place; it never repeats long text."""
    kind, value = details["type"], details["input"]
    if kind == "string_type":
        return _no_string(value)
    if kind == "list_type":
        return _no_list(value)
    if kind in {"model_type", "dict_type"} and str(value) in _TYPES:
        return f"must hold keys and values: write {{type: {value}}}"
    if kind == "literal_error":
        return _sentence(details["msg"]) + _meant(value)
    return _SAYS.get(kind) or _sentence(details["msg"])


def _no_string(value: Any) -> str:
    if value is None:
        return 'is empty: write the text, or "" for none'
    if value == [None]:
        return 'must be a string: write "-" in quotes, a bare - begins a list'
    if isinstance(value, dict) and len(value) == 1:
        return "must be one text: put it in quotes, else its ': ' makes a key of it"
    if isinstance(value, dict | list):
        return "must be one text, not a list or a block of keys"
    return _SAYS["string_type"]


def _no_list(value: Any) -> str:
    if isinstance(value, str) and len(value) <= _LONGEST_SHOWN:
        return f"must be a list: write [{value}]"
    return "must be a list"


def _meant(value: Any) -> str:
    near = nearest_key(value, _TYPES) if isinstance(value, str) else None
    return f"; did you mean {near!r}?" if near else ""


def _sentence(message: str) -> str:
    """What pydantic says, as it reads after the place."""
    for subject in ("Input", "String", "List", "Dictionary", "Tuple"):
        message = message.replace(f"{subject} should ", "must ")
    return message.split(" after validation", maxsplit=1)[0]
