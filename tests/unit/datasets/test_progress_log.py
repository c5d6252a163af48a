"""The lines in which helpers say how far they are, and what others make of them."""

import json

import pytest

from gradient_operator.datasets.progress import Progress
from gradient_operator.datasets.progress_log import FETCHING, UPLOADED, UPLOADING, fields, read_line


def line(message, **more):
    return json.dumps({"time": "…", "level": "info", "msg": message, **more}).encode()


def told(message, *, total=None):
    progress = Progress(files=3, bytes=400, total=total, seconds=2.0)
    return line(message, **fields("/outputs/d", progress))


def test_what_is_written_is_read():
    found = read_line(told(FETCHING, total=1_000))
    assert found.to_json() == {
        "does": "fetches",
        "path": "/outputs/d",
        "bytes": 400,
        "total": 1_000,
        "bytesPerSecond": 200,
    }
    assert found.share == 0.4
    assert read_line(told(UPLOADING)).share is None


def test_transfer_that_is_over_is_no_more():
    assert read_line(told(UPLOADED), read_line(told(UPLOADING))) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"msg":"uploading"}',
        b'{"msg":[]}',
        b"5",
        b"[" * 100_000,
        line("uploading", path="/x", bytes=-1, rate=1),
        line("uploading", path="/x", bytes=10**30, rate=1),
        b'{"msg":"uploading","path":"/x","bytes":NaN,"rate":1}',
        b'{"msg":"uploading","path":"/x","bytes":Infinity,"rate":1}',
    ],
)
def test_other_lines_change_nothing(text):
    before = read_line(told(UPLOADING))
    assert read_line(text, before) is before
