from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import BlobMissingError, ResultError
from gradient_operator.datasets.layout import run_key
from gradient_operator.datasets.manifest import Version
from gradient_operator.datasets.result import (
    MESSAGE_BYTES,
    FailureMessage,
    ResultMessage,
    UploadResult,
    decode_message,
    decode_result,
    encode_failure,
    encode_message,
    encode_result,
    read_result,
    write_result,
)

if TYPE_CHECKING:
    from gradient_operator.datasets.store import BlobStore

DIGEST = "ab" * 32
MODEL = Version(digest=DIGEST, bytes=10, files=2)


def result(outputs: int = 1, **strings: str) -> UploadResult:
    return UploadResult(outputs={f"out-{n}": MODEL for n in range(outputs)}, strings=strings)


def message(found: UploadResult) -> ResultMessage:
    encoded = encode_message(found, "uid-1")
    assert len(encoded) <= MESSAGE_BYTES
    decoded = decode_message(encoded)
    assert isinstance(decoded, ResultMessage)
    return decoded


def test_message_has_the_documented_shape() -> None:
    encoded = encode_message(UploadResult(outputs={"model": MODEL}, strings={"a": "1"}), "uid-1")

    assert json.loads(encoded) == {
        "v": 1,
        "outputs": {"model": {"digest": DIGEST, "bytes": 10, "files": 2}},
        "strings": {"a": "1"},
        "long": [],
        "ref": "runs/uid-1/result.json",
    }


def test_small_result_stands_whole_in_the_message() -> None:
    found = message(result(2, accuracy="0.93", empty=""))

    assert (found.long, found.truncated) == ((), False)
    assert found.outputs == {"out-0": MODEL, "out-1": MODEL}
    assert found.strings == {"accuracy": "0.93", "empty": ""}
    assert found.ref == "runs/uid-1/result.json"


def test_string_is_inline_up_to_256_bytes() -> None:
    found = message(result(fits="x" * 256, long="x" * 257, wide="ä" * 129))

    assert set(found.strings) == {"fits"}
    assert found.long == ("long", "wide")


def test_message_gives_up_strings_before_outputs() -> None:
    found = message(result(5, **{f"s{n}": "x" * 250 for n in range(6)}))

    assert len(found.outputs) == 5
    assert found.strings == {}
    assert found.long == tuple(f"s{n}" for n in range(6))


def test_message_that_cannot_hold_the_outputs_says_so() -> None:
    found = message(result(60, a="1"))

    assert found == ResultMessage(ref="runs/uid-1/result.json", truncated=True)


def test_failure_survives_its_message() -> None:
    encoded = encode_failure("The file 'ä' is a pipe.", "SpecialFile")

    assert json.loads(encoded) == {
        "error": "The file 'ä' is a pipe.",
        "reason": "SpecialFile",
        "v": 1,
    }
    assert decode_message(encoded.decode()) == FailureMessage(
        error="The file 'ä' is a pipe.", reason="SpecialFile"
    )


@pytest.mark.parametrize("sentence", ["x" * 5000, "🎉" * 5000, '"\\\n' * 5000])
def test_long_failure_is_cut_and_stays_readable(sentence: str) -> None:
    encoded = encode_failure(sentence, "Reason")

    assert len(encoded) <= MESSAGE_BYTES
    found = decode_message(encoded)
    assert isinstance(found, FailureMessage)
    assert found.error.endswith("…")
    assert sentence.startswith(found.error[:-1])


def test_result_survives_the_storage(store: BlobStore) -> None:
    wanted = result(3, long="ä" * 30_000)
    write_result(store, "uid-1", wanted)

    assert read_result(store, "runs/uid-1/result.json") == wanted


def test_missing_result_is_told(store: BlobStore) -> None:
    with pytest.raises(BlobMissingError, match="runs/uid-2"):
        read_result(store, "runs/uid-2/result.json")


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "runs//result.json",
        "runs/../result.json",
        "runs/a/b/result.json",
        "runs/a/abort",
        "/runs/a/result.json",
        "runs/a\n/result.json",
        "datasets/a/result.json",
    ],
)
def test_reference_cannot_leave_the_runs(store: BlobStore, reference: str) -> None:
    with pytest.raises(ResultError):
        read_result(store, reference)


def test_key_of_a_run_needs_a_uid() -> None:
    assert run_key("a-1", "abort") == "v1/runs/a-1/abort"
    with pytest.raises(ValueError, match="UID"):
        run_key("../x", "abort")


def test_huge_result_is_not_even_fetched(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(store, "uid-1", result())
    monkeypatch.setattr("gradient_operator.datasets.result.LARGEST_RESULT_BYTES", 10)
    with pytest.raises(ResultError):
        read_result(store, "runs/uid-1/result.json")


def test_unknown_keys_are_ignored() -> None:
    raw = json.loads(encode_result(result(1, a="1"))) | {"news": 1}
    raw["outputs"]["out-0"]["colour"] = "red"

    assert decode_result(json.dumps(raw).encode()) == result(1, a="1")
    text = json.loads(encode_message(result(1, a="1"), "uid-1")) | {"news": []}
    assert decode_message(json.dumps(text)) == message(result(1, a="1"))


VERSION = {"digest": DIGEST, "bytes": 1, "files": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"outputs": []},
        {"outputs": {"": VERSION}},
        {"outputs": {"a": None}},
        {"outputs": {"a": VERSION | {"digest": "abc"}}},
        {"outputs": {"a": VERSION | {"bytes": -1}}},
        {"outputs": {"a": VERSION | {"bytes": True}}},
        {"outputs": {"a": VERSION | {"files": 2**70}}},
        {"outputs": {"a": VERSION | {"files": 1.5}}},
        {"outputs": {f"a{n}": VERSION for n in range(2000)}},
        {"strings": {"a": 1}},
        {"strings": {"a": "\ud800"}},
        {"strings": {"x" * 300: "1"}},
        {"strings": {"a": "x" * 70_000}},
    ],
)
def test_result_that_breaks_the_rules_is_refused(change: dict[str, object]) -> None:
    raw = json.loads(encode_result(result(1, a="1"))) | change
    with pytest.raises(ResultError):
        decode_result(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"ref": None},
        {"ref": "runs/../x"},
        {"long": "abc"},
        {"long": [1]},
        {"strings": {"a": "x" * 300}},
        {"error": 3},
        {"error": ""},
        {"error": "text", "reason": None},
        {"error": "text", "reason": "x" * 100},
    ],
)
def test_message_that_breaks_the_rules_is_refused(change: dict[str, object]) -> None:
    raw = json.loads(encode_message(result(1, a="1"), "uid-1")) | change
    with pytest.raises(ResultError):
        decode_message(json.dumps(raw))


def test_message_cut_anywhere_is_refused() -> None:
    whole = encode_message(result(2, a="1"), "uid-1")
    for length in range(len(whole)):
        with pytest.raises(ResultError):
            decode_message(whole[:length])
        with pytest.raises(ResultError):
            decode_message(whole[len(whole) - length :])


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 4000, b"null", b"x" * 5000, b'"v"'])
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(ResultError):
        decode_message(junk)
