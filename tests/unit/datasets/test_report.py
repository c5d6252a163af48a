from __future__ import annotations

import json

import pytest

from gradient_operator.datasets.manifest import Version
from gradient_operator.datasets.report import TransferReport, decode_report, encode_report
from gradient_operator.datasets.result import (
    MESSAGE_BYTES,
    ResultMessage,
    UploadResult,
    decode_message,
    encode_message,
)

REPORT = TransferReport(
    files=3, bytes=2**40, seconds=1.5, cache_hits=2, cache_misses=1, cache_bytes=99
)


def test_report_comes_back() -> None:
    assert decode_report(encode_report(REPORT).decode()) == REPORT


def test_report_travels_beside_a_result() -> None:
    result = UploadResult(outputs={"m": Version(digest="0" * 64, bytes=1, files=1)}, strings={})

    message = encode_message(result, "pod-1", transfer=REPORT).decode()

    assert decode_report(message) == REPORT
    found = decode_message(message)
    assert isinstance(found, ResultMessage)
    assert found.outputs == result.outputs


def test_result_comes_first_where_there_is_no_room() -> None:
    texts: dict[str, str] = {}
    full = UploadResult(outputs={}, strings=texts)
    while len(encode_message(full, "pod-1")) < MESSAGE_BYTES - 40:
        texts[f"s{len(texts)}"] = "x" * 20

    message = encode_message(full, "pod-1", transfer=REPORT)

    assert message == encode_message(full, "pod-1")
    assert len(message) <= MESSAGE_BYTES


@pytest.mark.parametrize(
    "transfer",
    [None, 5, [], {"files": -1}, {"bytes": "1"}, {"seconds": True}, {"hits": 2**80}],
)
def test_nonsense_is_not_counted(transfer: object) -> None:
    assert decode_report(json.dumps({"v": 1, "transfer": transfer})) is None


@pytest.mark.parametrize("message", ["", "[]", "null", "killed", "{" * 5000])
def test_message_without_a_report_is_none(message: str) -> None:
    assert decode_report(message) is None
