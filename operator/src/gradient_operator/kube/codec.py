"""How values travel: bodies as compact JSON, queries without what was not asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from gradient_operator.kube.errors import ServerError

if TYPE_CHECKING:
    from gradient_operator.kube.transport import Call


def query_of(**values: str | int | None) -> dict[str, str]:
    """Return the values that are not None, as strings."""
    return {key: str(value) for key, value in values.items() if value is not None}


def encode(body: object) -> bytes:
    """Return `body` as JSON."""
    try:
        return to_json(body)  # a fifth of the time of `json`
    except PydanticSerializationError:
        # Half a surrogate pair, out of a file's name or a message: only `json` writes it.
        return json.dumps(body, separators=(",", ":")).encode()


def decode(text: bytes, call: Call) -> dict[str, Any]:
    """Return the object in an answer to `call`.

    Raises:
        ServerError: it is no JSON, as a proxy's page is.
    """
    try:
        # Half the time of `json`, and what the API server sends is most of what we read.
        value: dict[str, Any] = from_json(text, cache_strings="keys")
    except ValueError as error:
        raise ServerError(f"{call.method} {call.path}: the answer is no JSON: {error}") from error
    return value
