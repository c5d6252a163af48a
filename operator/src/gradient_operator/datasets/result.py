"""What an upload produced, as helper and operator pass it to each other.

The full result stands in object storage; a short message for the container's termination message
(1.5 KiB) carries the same if it fits, and a reference to the full one otherwise. Both are read as
hostile input: bounded, strict about what is known, indifferent to unknown keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.errors import BlobMissingError, ResultError
from gradient_operator.datasets.layout import (
    is_digest,
    parse_run_reference,
    run_key,
    run_reference,
)
from gradient_operator.datasets.manifest import Version
from gradient_operator.datasets.report import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradient_operator.datasets.report import TransferReport
    from gradient_operator.datasets.store import BlobStore

FORMAT: Final = 1
MESSAGE_BYTES: Final = 1536
"""Longest termination message in bytes; the kubelet would cut a longer one without a word."""
INLINE_STRING_BYTES: Final = 256
LONGEST_STRING_BYTES: Final = 64 * 1024
LARGEST_RESULT_BYTES: Final = 32 * 1024 * 1024
MOST_OUTPUTS: Final = 1024
_LONGEST_NAME: Final = 253
_LONGEST_ERROR: Final = 1000
_LARGEST_NUMBER: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """All outputs of one Pod: versions by output name, and the values of string outputs."""

    outputs: Mapping[str, Version]
    strings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMessage:
    """What a termination message says about a successful upload.

    `long` names strings whose value stands only in the full result at `ref`. `truncated` means that
    nothing but `ref` fitted.
    """

    ref: str
    outputs: Mapping[str, Version] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict)
    long: tuple[str, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureMessage:
    """What a termination message says about a failure: a sentence and a CamelCase reason."""

    error: str
    reason: str


def write_result(store: BlobStore, run_id: str, result: UploadResult) -> None:
    """Write the full result of a Pod to `runs/<uid>/result.json`.

    Raises:
        StorageError: the storage does not take it.
    """
    store.put(run_key(run_id, "result.json"), encode_result(result))


def read_result(store: BlobStore, reference: str) -> UploadResult:
    """Read the full result that a message refers to.

    Raises:
        ResultError: the reference or the result is malformed.
        BlobMissingError: there is no such result.
        StorageError: the storage does not answer.
    """
    try:
        key = run_key(parse_run_reference(reference), "result.json")
    except ValueError as error:
        raise ResultError(f"The reference to an upload's result is malformed: {error}.") from None
    size = store.size(key)
    if size is None:
        raise BlobMissingError(f"The upload's result {reference} is not in the storage.")
    if size > LARGEST_RESULT_BYTES:
        raise ResultError(f"The upload's result {reference} is larger than 32 MiB.")
    return decode_result(bytes(store.get(key)))


def encode_result(result: UploadResult) -> bytes:
    """Write the full result as JSON."""
    body = {"outputs": _outputs(result.outputs), "strings": dict(result.strings), "v": FORMAT}
    return _dump(body) + b"\n"


def decode_result(data: bytes) -> UploadResult:
    """Read a full result.

    Raises:
        ResultError: it is malformed.
    """
    raw = _load(data, largest=LARGEST_RESULT_BYTES)
    return UploadResult(
        outputs=_read_outputs(raw), strings=_read_strings(raw, LONGEST_STRING_BYTES)
    )


def encode_message(
    result: UploadResult, run_id: str, *, transfer: TransferReport | None = None
) -> bytes:
    """Write the termination message: all of it if it fits, else with less and less inline.

    What was moved (`transfer`) is said if there is room for it.
    """
    strings = dict(result.strings)
    long = [name for name, value in strings.items() if _is_long(value)]
    body: dict[str, Any] = {
        "v": FORMAT,
        "outputs": _outputs(result.outputs),
        "strings": {name: value for name, value in strings.items() if name not in long},
        "long": sorted(long),
        "ref": run_reference(run_id, "result.json"),
    }
    if len(_dump(body)) > MESSAGE_BYTES:
        body |= {"strings": {}, "long": sorted(strings)}
    if len(_dump(body)) > MESSAGE_BYTES:
        body = {"v": FORMAT, "ref": body["ref"], "truncated": True}
    if transfer is not None:
        told = _dump(body | {KEY: transfer.to_json()})
        if len(told) <= MESSAGE_BYTES:
            return told
    return _dump(body)


def encode_failure(error: str, reason: str) -> bytes:
    """Write the termination message of a failure; a long sentence is cut."""
    text = error
    while True:
        message = _dump({"error": text, "reason": reason, "v": FORMAT})
        if len(message) <= MESSAGE_BYTES and len(text) <= _LONGEST_ERROR:
            return message
        text = text[: min(_LONGEST_ERROR, len(text) * 3 // 4) - 1] + "…"


def decode_message(data: bytes | str) -> ResultMessage | FailureMessage:
    """Read a termination message.

    Raises:
        ResultError: it is cut off, malformed or too large.
    """
    raw = _load(data.encode() if isinstance(data, str) else data, largest=4096)
    if "error" in raw:
        return FailureMessage(
            error=_text(raw, "error", _LONGEST_ERROR), reason=_text(raw, "reason", 64)
        )
    reference = _text(raw, "ref", 256)
    try:
        parse_run_reference(reference)
    except ValueError as error:
        raise ResultError(f"The upload's message has a malformed reference: {error}.") from None
    if raw.get("truncated") is True:
        return ResultMessage(ref=reference, truncated=True)
    long = raw.get("long", [])
    if not isinstance(long, list) or not all(map(_is_name, long)):
        raise ResultError("The upload's message has a malformed list of long strings.")
    return ResultMessage(
        ref=reference,
        outputs=_read_outputs(raw),
        strings=_read_strings(raw, INLINE_STRING_BYTES),
        long=tuple(long),
    )


def _is_long(value: str) -> bool:
    return len(value.encode()) > INLINE_STRING_BYTES


def _dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _load(data: bytes, *, largest: int) -> dict[str, Any]:
    if len(data) > largest:
        raise ResultError(f"The upload's result is larger than {largest} bytes.")
    try:
        raw = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise ResultError("The upload's result is not JSON, or it was cut off.") from None
    if not isinstance(raw, dict):
        raise ResultError("The upload's result is not a JSON object.")
    if raw.get("v") != FORMAT:
        raise ResultError("The upload's result has an unknown format: use equal versions.")
    return raw


def _outputs(outputs: Mapping[str, Version]) -> dict[str, Any]:
    return {
        name: {"digest": version.digest, "bytes": version.bytes, "files": version.files}
        for name, version in outputs.items()
    }


def _read_outputs(raw: Mapping[str, Any]) -> dict[str, Version]:
    return {name: _version(name, value) for name, value in _mapping(raw, "outputs").items()}


def _version(name: str, raw: Any) -> Version:
    if not isinstance(raw, dict) or not is_digest(raw.get("digest")):
        raise ResultError(f"The upload's result gives no digest for the output {name!r}.")
    numbers = raw.get("bytes"), raw.get("files")
    for number in numbers:
        if type(number) is not int or not 0 <= number <= _LARGEST_NUMBER:
            raise ResultError(f"The upload's result gives no size for the output {name!r}.")
    return Version(digest=raw["digest"], bytes=raw["bytes"], files=raw["files"])


def _read_strings(raw: Mapping[str, Any], longest: int) -> dict[str, str]:
    strings = _mapping(raw, "strings")
    for name, value in strings.items():
        if not isinstance(value, str) or not _is_utf8(value) or len(value.encode()) > longest:
            raise ResultError(f"The upload's result has an unusable value for {name!r}.")
    return strings


def _mapping(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict) or len(value) > MOST_OUTPUTS or not all(map(_is_name, value)):
        raise ResultError(f"The upload's result has malformed {key}.")
    return value


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and _is_utf8(name)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text(raw: Mapping[str, Any], key: str, longest: int) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not _is_utf8(value):
        raise ResultError(f"The upload's message has no usable {key!r}.")
    return value
