"""Finished runs are archived, then deleted; while the archive is down they stay, to a bound."""

import asyncio
import json
from dataclasses import replace

import pytest
from obstore.store import MemoryStore

from gradient_operator.config import HistorySettings, OperatorConfig
from gradient_operator.controllers import run_archive
from gradient_operator.controllers.history import History
from gradient_operator.controllers.records import project_pod, project_run
from gradient_operator.controllers.run_archive import RunArchive
from gradient_operator.controllers.services import PodIndex
from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.datasets.run_archive import read_log, read_records
from gradient_operator.engine.model import RunPhase
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.resources import PODS, RUNS, WORKFLOWS
from gradient_operator.observability.metrics import Metrics
from tests.unit.controllers.memory_api import MemoryApi
from tests.unit.datasets.trees import faulty_store
from tests.waiting import eventually

DAY = 86_400.0
END = 1_769_860_800.0
"""2026-01-31T12:00:00Z."""


class World(MemoryApi):
    """A namespace with a workflow, the operator's parts around it, and a bucket."""

    def __init__(self, *, archived=True, **settings):
        super().__init__()
        self.config = OperatorConfig(history=HistorySettings(keep_succeeded=1, **settings))
        self.metrics, self.leads, self.now = Metrics(), True, END + DAY
        self.logs, self.deleted, self.told = {}, [], []
        self.store, self.faults = faulty_store(ObstoreBackend(MemoryStore(), "memory"))
        self.client, self.recorder = self, self
        self.runs, self.workflows, self.pods = {}, {}, PodIndex()
        self.put(WORKFLOWS, "w", spec={}, status={})
        self.restart(archived=archived)

    def restart(self, *, archived=True):
        self.archive = RunArchive(
            self,
            lambda: self.store,
            self.config.history,
            self.metrics,
            pods=self.pods,
            clock=self.clock,
        )
        self.history = History(
            self,
            runs=self.runs,
            workflows=self.workflows,
            archive=self.archive if archived else None,
        )

    def clock(self):
        return self.now

    def is_leader(self):
        return self.leads

    def record(self, *_, reason, note, **__):
        self.told.append((reason, note))

    def run(self, name, *, ended="2026-01-31T12:00:00Z", phase="Succeeded", **spec):
        status = {"phase": phase, "finishedAt": ended, "jobs": {"a": {"phase": phase}}}
        owner = [{"kind": "GradientWorkflow", "name": "w", "uid": "w"}]
        body = self.put(
            RUNS,
            name,
            metadata={"ownerReferences": owner},
            spec={"workflow": "w", **spec},
            status=status,
        )
        self.runs["ns", name] = project_run(body)
        return body["metadata"]["uid"]

    def pod(self, uid, job="a", attempt=1):
        name = f"{job}-{attempt}"
        labels = {"gradient.run/run-uid": uid, "gradient.run/attempt": str(attempt)}
        names = {"gradient.run/job": job, "gradient.run/run": self.named(uid)}
        metadata = {"labels": labels, "annotations": names}
        self.pods.update(None, project_pod(self.put(PODS, name, metadata=metadata, spec={})))
        return name

    def named(self, uid):
        return next(view.name for view in self.runs.values() if view.uid == uid)

    def archived(self, name):
        """The condition of a run."""
        conditions = self.all(RUNS)[name]["status"].get("conditions", ())
        found = [item for item in conditions if item["type"] == "Archived"]
        return (found[0]["status"], found[0]["message"]) if found else None

    async def pod_logs(self, name, **_):
        if name not in self.logs:
            raise NotFound("no such Pod")
        if isinstance(self.logs[name], Exception):
            raise self.logs[name]
        for line in self.logs[name]:
            yield line

    async def delete(self, resource, *, name, namespace, uid, **_):
        assert self.objects[resource.plural, namespace, name]["metadata"]["uid"] == uid
        del self.objects[resource.plural, namespace, name]
        del self.runs[namespace, name]
        self.deleted.append(name)

    async def sweep(self):
        self.workflows = {("ns", name): body for name, body in self.all(WORKFLOWS).items()}
        self.history._workflows = self.workflows
        await self.history.sweep()
        return self.deleted


@pytest.fixture
def world():
    return World()


def two_runs(world):
    old = world.run("old")
    world.run("new", ended="2026-01-31T13:00:00Z")
    return old


async def test_a_run_is_archived_with_its_logs_before_it_goes(world):
    uid = two_runs(world)
    world.logs[world.pod(uid, attempt=1)] = [b"first"]
    world.logs[world.pod(uid, attempt=2)] = [b"second", b"third"]
    assert await world.sweep() == ["old"]
    (found,) = read_records(world.store, "ns")
    assert found.run["status"]["phase"] == "Succeeded"
    assert [(log.job, log.attempt) for log in found.logs] == [("a", 1), ("a", 2)]
    assert read_log(world.store, found.logs[1]) == b"second\nthird\n"
    assert list(read_records(world.store, "ns", "old")) == [found]
    assert list(read_records(world.store, "other")) == []


async def test_the_newest_run_stays_however_old_it_is(world):
    world.run("only")
    world.now = END + 1_000 * DAY
    assert await world.sweep() == []


async def test_a_workflow_says_how_much_of_its_own_is_kept(world):
    two_runs(world)
    world.put(WORKFLOWS, "w", spec={"policy": {"history": {"keepSucceeded": 5}}})
    assert await world.sweep() == []


async def test_the_run_that_the_status_names_stays(world):
    two_runs(world)
    world.put(WORKFLOWS, "w", spec={}, status={"lastRun": {"name": "old"}})
    assert await world.sweep() == []


async def test_nothing_goes_before_the_workflow_is_known(world):
    two_runs(world)
    del world.objects["gradientworkflows", "ns", "w"]
    assert await world.sweep() == []


async def test_while_the_archive_is_down_runs_stay_and_it_is_said(world):
    two_runs(world)

    def down(*_):
        raise StorageUnavailableError("no answer")

    world.faults.on_call = down
    assert await world.sweep() == []
    assert world.metrics.archive_waiting_runs._value.get() == 1
    ((reason, note),) = world.told
    assert (reason, "stays until it is archived" in note) == ("ArchiveFailed", True)

    world.now = END + 36 * DAY  # 30 days, and less than 7 of patience
    assert await world.sweep() == []
    world.now = END + 38 * DAY
    assert await world.sweep() == ["old"]
    assert "is deleted without archive" in world.told[-1][1]


async def test_a_run_says_that_it_is_archived_and_where(world):
    uid = two_runs(world)
    body = world.objects["gradientruns", "ns", "old"]
    body["status"]["conditions"] = [
        {"type": "Succeeded", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}
    ]
    await world.archive.keep(world.runs["ns", "old"], tell=True)
    status, message = world.archived("old")
    assert (status, f"v1/history/ns/old/{uid}" in message) == ("True", True)
    conditions = world.all(RUNS)["old"]["status"]["conditions"]
    assert [item["type"] for item in conditions] == ["Succeeded", "Archived"]
    assert world.all(RUNS)["old"]["status"]["phase"] == "Succeeded"
    (record,) = read_records(world.store, "ns")
    assert len(record.run["status"]["conditions"]) == 1, "the record is older than that"


async def archived_by(world):
    """Let the archive work until it has nothing more to do."""
    working, archive = asyncio.create_task(world.archive.run()), world.archive

    async def over():
        assert not working.done()
        assert not archive._left_over
        assert not archive._pending
        assert world.archived("late") is not None

    await eventually(over, seconds=10, pause=0.01)
    working.cancel()


@pytest.mark.parametrize("told", [True, False])
async def test_what_ended_shortly_before_a_restart_is_archived_after_it(world, monkeypatch, told):
    """Also if only the word is missing that it is there."""
    monkeypatch.setattr(run_archive, "LEFT_OVER_PAUSE", 0.0)
    world.now = END + 600
    world.run("late")
    world.run("old", ended="2026-01-31T10:00:00Z")
    world.run("foreign", policy={"datasets": {"provider": "own"}})
    if not told:
        await world.archive.keep(world.runs["ns", "late"])
    world.restart()
    before = len(world.faults.calls)
    world.archive.take_up(world.runs.values())
    await archived_by(world)
    assert world.archived("late")[0] == "True"
    assert world.archived("old") is None
    assert world.archived("foreign") is None
    assert [call for call, _ in world.faults.calls[before:]].count("size") == 1


async def test_a_new_leader_asks_for_nothing_that_another_one_has_archived(world):
    world.now = END + 600
    world.run("late")
    ended = world.runs["ns", "late"]
    under_way = replace(ended, phase=RunPhase.RUNNING)
    world.archive.changed(under_way, ended)  # heard as a standby
    await world.archive.keep(ended, tell=True)
    world.restart()
    world.runs["ns", "late"] = project_run(world.all(RUNS)["late"])
    world.archive.changed(under_way, ended)
    before = len(world.faults.calls)
    world.archive.take_up(world.runs.values())
    await archived_by(world)
    assert world.faults.calls[before:] == []


async def test_a_start_takes_up_no_more_than_the_newest(world, monkeypatch):
    monkeypatch.setattr(run_archive, "LEFT_OVER_MOST", 1)
    monkeypatch.setattr(run_archive, "LEFT_OVER_PAUSE", 0.0)
    world.now = END + 600
    world.run("later", ended="2026-01-31T11:59:00Z")
    world.run("late")
    world.archive.take_up(world.runs.values())
    await archived_by(world)
    assert world.archived("later") is None


async def test_a_run_that_is_about_to_go_is_not_told_first(world):
    two_runs(world)
    await world.archive.keep(world.runs["ns", "old"])
    assert world.archived("old") is None


async def test_a_run_that_cannot_be_archived_says_so_once_and_then_that_it_is(world):
    two_runs(world)

    def down(*_):
        raise StorageUnavailableError("the bucket does not answer")

    world.faults.on_call = down
    for _ in range(2):
        await world.sweep()
    assert world.archived("old") == ("False", "it is tried again: the bucket does not answer")
    assert world.writes.count(("patch", "gradientruns", "old")) == 1
    world.faults.on_call = lambda *_: None
    await world.archive.keep(world.runs["ns", "old"], tell=True)
    assert world.archived("old")[0] == "True"


async def test_what_a_run_says_is_worth_no_failure(world):
    two_runs(world)
    world.refusals["patch", "gradientruns"] = KubeError("etcd is slow", status=500)
    await world.archive.keep(world.runs["ns", "old"], tell=True)
    assert len(list(read_records(world.store, "ns"))) == 1


async def test_what_was_archived_before_a_restart_is_not_written_again(world):
    two_runs(world)
    await world.archive.keep(world.runs["ns", "old"])
    world.restart()
    before = len(world.faults.calls)
    assert await world.sweep() == ["old"]
    assert [call for call, _ in world.faults.calls[before:]] == ["size"]


async def test_the_end_of_a_long_log_is_kept(world):
    uid = two_runs(world)
    line = b"x" * 1_023
    world.logs[world.pod(uid)] = [line] * (10 * 1_024) + [b"the end"]
    await world.sweep()
    (found,) = read_records(world.store, "ns")
    text = read_log(world.store, found.logs[0])
    assert found.logs[0].truncated
    assert len(text) <= 10 * 1_024 * 1_024
    assert text.endswith(b"the end\n")


async def test_a_node_that_is_gone_does_not_keep_a_run_for_ever(world):
    uid = two_runs(world)
    world.logs[world.pod(uid)] = KubeError("dial tcp: no route to host", status=500)
    assert await world.sweep() == []
    assert await world.sweep() == ["old"]
    (found,) = read_records(world.store, "ns")
    assert found.logs == ()


async def test_a_tenants_own_provider_means_no_archive_in_the_operators_bucket(world):
    world.run("old", policy={"datasets": {"provider": "ours"}})
    world.run("new", ended="2026-01-31T13:00:00Z")
    assert await world.sweep() == ["old"]
    assert list(read_records(world.store, "ns")) == []


async def test_without_archive_runs_just_go():
    world = World(archived=False)
    two_runs(world)
    assert await world.sweep() == ["old"]


async def test_records_alone_can_be_asked_for():
    world = World(archive="records")
    uid = two_runs(world)
    world.logs[world.pod(uid)] = [b"line"]
    await world.sweep()
    (found,) = read_records(world.store, "ns")
    assert found.logs == ()


def test_a_bare_off_is_off():
    assert HistorySettings.model_validate(json.loads('{"archive": false}')).archive == "off"
