"""`gradient runs --all`, `show` and `logs` of runs that only the archive has."""

import json
from contextlib import contextmanager

import pytest
from obstore.store import MemoryStore

from gradient_operator.cli.dataset import access, storage
from gradient_operator.datasets import run_archive
from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.errors import BlobMissingError
from gradient_operator.datasets.run_archive import (
    Archived,
    Log,
    log_key,
    write_log,
    write_record,
)
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.resources import RUNS
from tests.unit.cli.fake import run_object

JOBS = {"a": {"phase": "Failed", "attempt": 2, "message": "exit code 1"}, "b": {"phase": "Omitted"}}


@pytest.fixture
def archive(monkeypatch):
    """An archive with the run `old`, of whose job `a` there are two logs."""
    store = BlobStore(ObstoreBackend(MemoryStore(), "memory"))
    run = run_object("old", phase="Failed", jobs=JOBS, definition={"jobs": {"a": {}, "b": {}}})
    run["metadata"] |= {"namespace": "team", "creationTimestamp": "2026-01-01T00:00:00Z"}
    logs = []
    for attempt in (1, 2):
        key = log_key("team", "old", run["metadata"]["uid"], attempt)
        write_log(store, key, f"attempt {attempt}\nlast\n".encode())
        logs.append(Log("a", attempt, key, truncated=attempt == 1))
    write_record(store, Archived(run, tuple(logs)))

    async def found(cluster, provider):
        return provider

    @contextmanager
    def opened(*_, **__):
        yield store

    monkeypatch.setattr(storage, "find_storage", found)
    monkeypatch.setattr(access, "open_store", opened)
    return store


def test_the_list_goes_on_with_the_archive(gradient, client, archive):
    client.add(RUNS, run_object("new", phase="Running"))
    assert "old" not in gradient("runs")[1]
    code, out, _ = gradient("runs", "--all")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "new", "old"]
    assert "Failed (archived)" in out
    listed = json.loads(gradient("runs", "--all", "-o", "json")[1])
    assert [(run["name"], run["archived"]) for run in listed] == [("new", False), ("old", True)]


def test_a_run_that_is_in_both_is_listed_once(gradient, client, archive):
    client.add(RUNS, run_object("old", phase="Failed"))
    assert len(json.loads(gradient("runs", "--all", "-o", "json")[1])) == 1


def test_an_archived_run_is_shown_and_not_offered_to_be_rerun(gradient, archive):
    code, out, _ = gradient("show", "old")
    assert code == 0
    assert "Failed (archived)" in out
    assert "gradient rerun" not in out


def test_archived_logs_are_printed_those_of_the_last_attempt(gradient, archive):
    assert gradient("logs", "old", "a") == (0, "attempt 2\nlast\n", "")
    code, out, err = gradient("logs", "old", "a", "--attempt", "1")
    assert (code, out) == (0, "attempt 1\nlast\n")
    assert "only the end of the log was archived" in err


def test_logs_of_a_run_whose_pods_are_gone_come_from_the_archive(gradient, client, archive):
    definition = {"jobs": {"a": {}, "b": {}}}
    client.add(RUNS, run_object("old", phase="Failed", jobs=JOBS, definition=definition))
    assert gradient("logs", "old", "a")[1] == "attempt 2\nlast\n"


def test_what_is_in_neither_is_said_as_ever(gradient, archive):
    code, _, err = gradient("logs", "nothing")
    assert code == 2
    assert "There is no run 'nothing' in namespace team. List them" in err
    code, _, err = gradient("logs", "old", "b")
    assert code == 2


def test_why_an_archived_run_failed_is_said_with_the_end_of_its_log(gradient, archive):
    code, out, _ = gradient("why", "old")
    assert code == 0
    assert "Failed first: job a, attempt 2" in out
    assert "| attempt 2\n           | last\n" in out
    assert "gradient rerun" not in out


def test_an_archived_log_that_is_gone_leaves_the_rest_of_the_answer(gradient, archive, monkeypatch):
    def gone(*_):
        raise BlobMissingError("it is gone", reason="BlobMissing")

    monkeypatch.setattr(run_archive, "read_log", gone)
    code, out, _ = gradient("why", "old")
    assert code == 0
    assert "why      exit code 1" in out
