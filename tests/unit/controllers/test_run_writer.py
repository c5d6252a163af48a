"""When a run's status is written: its end at once, all else at most once a second."""

import asyncio
import time
from dataclasses import replace

import pytest

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers import run_writer
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.run import RunController
from gradient_operator.controllers.run_release import Releaser
from gradient_operator.controllers.run_state import RunState, identity_of
from gradient_operator.controllers.run_writer import PAUSE, RATE, StatusWriter
from gradient_operator.controllers.runs_under_way import list_under_way
from gradient_operator.controllers.services import Definitions, Key, NotLeading, PodIndex, Services
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.kube.errors import Conflict, NotFound, ServerError
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.kube.resources import RUNS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.validate import parse_file
from tests.builders import make_pod, make_workflow
from tests.unit.controllers.memory_api import MemoryApi

RUN = Key("run", "ns", "r")
STATUS = Key("status", "ns", "r")


class RecordingApi(MemoryApi):
    """Keeps what was sent in patches."""

    def __init__(self):
        super().__init__()
        self.sent = []

    async def merge_patch(self, resource, body, **where):
        await asyncio.sleep(0)  # as long as another task needs to come first
        patched = await super().merge_patch(resource, body, **where)
        self.sent.append(body["status"])
        return patched


class Scene:
    """One run, its state, and what is written of it."""

    def __init__(self):
        self.api = RecordingApi()
        self.leading = True
        self.pods = PodIndex()
        self.queue = KeyedQueue()
        self.released = []
        self.services = Services(
            client=self.api,
            config=OperatorConfig(watchNamespace="ns"),
            metrics=Metrics(),
            recorder=EventRecorder(self.api, component="c", instance="i"),
            queue=KeyedQueue(),
            pods=self.pods,
            definitions=Definitions(),
            assume_pod=lambda pod: None,
            is_leader=lambda: self.leading,
        )
        definition = make_workflow().job("a").job("b").data()
        self.api.put(RUNS, "r", spec={"workflow": "flow", "definition": definition})
        view = project_run(self.api.all(RUNS)["r"])
        self.runs = {("ns", "r"): view}
        workflow = compile_file(parse_file(definition), given={}).workflow
        self.state = RunState(
            identity=identity_of(view, ""),
            workflow=workflow,
            policy=None,
            provider=None,
            storage=None,
            ledger={name: JobRecord() for name in workflow.jobs},
            started_at=0.0,
        )
        self.states = {RUN: self.state}
        self.releaser = Releaser(
            self.pods, self.release, is_leader=lambda: self.leading, others=(self.queue,)
        )
        self.writer = StatusWriter(
            self.services,
            runs=self.runs,
            states=self.states,
            queue=self.queue,
            releaser=self.releaser,
        )

    async def release(self, pod):
        self.released.append(pod.name)

    def go(self, phase, **jobs):
        self.state.phase = phase
        self.state.ledger = self.state.ledger | {
            name: JobRecord(phase=job, attempt=1) for name, job in jobs.items()
        }

    def status(self):
        return self.api.all(RUNS)["r"].get("status", {})


@pytest.fixture
def scene():
    return Scene()


async def test_the_end_is_to_be_written_at_once(scene):
    scene.go(RunPhase.SUCCEEDED)
    scene.writer.ask(RUN, scene.state)
    assert await scene.queue.get() == STATUS


@pytest.mark.looptime
async def test_what_happens_before_the_end_is_written_together(scene):
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    scene.writer.ask(RUN, scene.state)
    scene.go(RunPhase.RUNNING, a=JobPhase.FAILED)
    scene.writer.ask(RUN, scene.state)
    assert scene.queue.depth == 0


@pytest.mark.looptime
async def test_in_a_crowd_news_waits_longer_but_an_end_does_not(scene):
    for number in range(int(5 * RATE)):
        scene.queue.add_after(Key("status", "ns", f"other-{number}"), 60.0)
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    scene.state.written_at = time.monotonic() - 2 * PAUSE
    scene.writer.ask(RUN, scene.state)
    assert scene.queue.depth == 0
    scene.go(RunPhase.SUCCEEDED)
    scene.writer.ask(RUN, scene.state)
    assert await scene.queue.get() == STATUS


async def test_a_wide_run_is_written_less_often_in_proportion(scene, monkeypatch):
    monkeypatch.setattr(run_writer, "WIDE", 1)  # two jobs are twice as many
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    scene.state.written_at = time.monotonic() - 1.5 * PAUSE
    scene.writer.ask(RUN, scene.state)
    assert scene.queue.depth == 0
    scene.state.written_at = time.monotonic() - 2 * PAUSE
    scene.writer.ask(RUN, scene.state)
    assert await scene.queue.get() == STATUS


async def test_alone_news_of_a_second_ago_is_due(scene):
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    scene.state.written_at = time.monotonic() - 2 * PAUSE
    scene.writer.ask(RUN, scene.state)
    assert await scene.queue.get() == STATUS


async def test_only_what_has_changed_is_sent(scene):
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    await scene.writer.reconcile(STATUS)
    scene.go(RunPhase.RUNNING, b=JobPhase.RUNNING)
    await scene.writer.reconcile(STATUS)
    await scene.writer.reconcile(STATUS)
    first, second = scene.api.sent
    assert set(first["jobs"]) == {"a", "b"}
    assert set(second["jobs"]) == {"b"}
    assert scene.status()["jobs"]["a"]["phase"] == "Running"


async def test_two_writes_at_once_never_undo_each_other(scene):
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    view = scene.runs["ns", "r"]
    one = asyncio.create_task(scene.writer.write(view, scene.state))
    await asyncio.sleep(0)
    scene.go(RunPhase.SUCCEEDED, a=JobPhase.SUCCEEDED, b=JobPhase.SUCCEEDED)
    await asyncio.gather(one, scene.writer.reconcile(STATUS))
    assert scene.status()["phase"] == "Succeeded"
    assert scene.state.written["phase"] == "Succeeded"


async def test_a_pod_is_let_go_only_after_its_end_was_acknowledged(scene):
    pod = make_pod("a", run="r", run_uid=scene.state.identity.uid, held=True, deletion_at=1.0)
    scene.pods.update(None, pod)
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    await scene.writer.reconcile(STATUS)
    assert scene.released == []
    scene.go(RunPhase.RUNNING, a=JobPhase.SUCCEEDED)
    scene.api.refusals["patch", "gradientruns"] = ServerError("no")
    with pytest.raises(ServerError):
        await scene.writer.reconcile(STATUS)
    scene.api.refusals.clear()
    assert scene.released == []
    await scene.writer.reconcile(STATUS)
    assert scene.released == [pod.name]


async def test_nothing_is_written_without_leadership(scene):
    scene.go(RunPhase.RUNNING, a=JobPhase.RUNNING)
    scene.leading = False
    with pytest.raises(NotLeading):
        await scene.writer.reconcile(STATUS)
    assert scene.status() == {}


async def test_a_run_that_is_gone_is_forgotten(scene):
    scene.api.objects.clear()
    scene.go(RunPhase.RUNNING)
    with pytest.raises(NotFound):
        await scene.writer.reconcile(STATUS)
    assert scene.states == {}
    await scene.writer.reconcile(STATUS)


@pytest.mark.parametrize("changes", [{"uid": "another"}, {"deleting": True}])
async def test_a_run_that_goes_and_its_namesake_are_left_alone(scene, changes):
    scene.runs["ns", "r"] = replace(scene.runs["ns", "r"], **changes)
    scene.go(RunPhase.RUNNING)
    await scene.writer.reconcile(STATUS)
    assert scene.status() == {}


class TestAfterATakeover:
    def controller(self, scene):
        return RunController(
            scene.services,
            runs=scene.runs,
            applier=None,
            probe=type("Probe", (), {"watch": lambda *_: None})(),
            writes=scene.queue,
            releaser=scene.releaser,
        )

    async def test_what_the_leader_before_wrote_is_taken_over(self, scene):
        scene.api.all(RUNS)["r"]["status"] = {"phase": "Running"}
        scene.api.all(RUNS)["r"]["metadata"]["resourceVersion"] = "99"
        assumed = []
        await self.controller(scene).catch_up(assumed.append)
        assert [view.phase for view in assumed] == [RunPhase.RUNNING]

    async def test_what_the_cache_has_is_left_alone(self, scene):
        assumed = []
        await self.controller(scene).catch_up(assumed.append)
        assert assumed == []

    async def test_a_run_that_ended_unseen_is_not_begun_again(self, scene):
        controller = self.controller(scene)
        scene.api.all(RUNS)["r"]["status"] = {"phase": "Succeeded"}
        await controller.catch_up(lambda _: None)
        with pytest.raises(Conflict, match="meanwhile"):
            await controller.reconcile(RUN)
        assert scene.api.writes == []

    async def test_runs_that_have_ended_are_not_under_way(self, scene):
        scene.api.put(RUNS, "old", spec={}, status={"phase": "Failed"})
        found = await list_under_way(scene.api, namespace="ns")
        assert [view.name for view in found] == ["r"]
