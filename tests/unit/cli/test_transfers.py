"""How far a job is with its data, as `gradient show` tells it."""

import json

import pytest

from gradient_operator.kube.resources import RUNS
from tests.unit.cli.fake import run_object

MIB = 1024 * 1024


def line(message, **fields):
    body = {"time": "2026-01-31T12:00:00Z", "level": "info", "msg": message, **fields}
    return json.dumps(body).encode()


UPLOADING = line("uploading", path="/outputs/model", files=2, bytes=45 * MIB, rate=13 * MIB)
FETCHING = line("fetching", path="/fetched/data", files=0, bytes=MIB, rate=MIB, total=4 * MIB)


@pytest.fixture
def run(client):
    jobs = {
        "Fetch": {"phase": "Starting", "attempt": 1, "pod": "pod-a"},
        "Upload": {"phase": "Uploading", "attempt": 1, "pod": "pod-b"},
        "Wait": {"phase": "Starting", "attempt": 1, "pod": "pod-c"},
        "Work": {"phase": "Running", "attempt": 1, "pod": "pod-d"},
    }
    definition = {"jobs": {name: {"uses": "script@v1"} for name in jobs}}
    client.add(RUNS, run_object(phase="Running", jobs=jobs, definition=definition))
    client.logs["pod-a", "fetch"] = [line("ready"), FETCHING]
    client.logs["pod-b", "uploader"] = [b"no JSON", UPLOADING, line("The storage is slow.")]
    return "train-aaaa"


def test_show_says_how_far_transfers_are(gradient, run):
    code, out, _ = gradient("show", run)
    assert code == 0
    assert "fetches /fetched/data: 25 % of 4.0 MiB, 1.0 MiB/s" in out
    assert "uploads /outputs/model: 45.0 MiB so far, 13.0 MiB/s" in out
    assert out.count("so far") == 1


def test_json_has_the_numbers(gradient, run):
    found = json.loads(gradient("show", run, "-o", "json")[1])["transfers"]
    assert found["Fetch"]["total"] == 4 * MIB
    assert found["Upload"] == {
        "does": "uploads",
        "path": "/outputs/model",
        "bytes": 45 * MIB,
        "total": None,
        "bytesPerSecond": 13 * MIB,
    }
    assert found.keys() == {"Fetch", "Upload"}


def test_why_says_it_too(gradient, run):
    code, out, _ = gradient("why", run)
    assert code == 0
    assert "  Fetch: fetches /fetched/data: 25 % of 4.0 MiB, 1.0 MiB/s\n" in out
    assert "  Upload: uploads /outputs/model: 45.0 MiB so far, 13.0 MiB/s\n" in out
    found = json.loads(gradient("why", run, "-o", "json")[1])["transfers"]
    assert found["Fetch"]["bytes"] == MIB
