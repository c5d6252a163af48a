"""Runs of one concurrency group: what their statuses say, and who is woken."""

import pytest

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.services import Definitions, NotLeading, PodIndex, Services
from gradient_operator.controllers.turns import Turns
from gradient_operator.kube.errors import Conflict, KubeError
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.kube.resources import RUNS
from gradient_operator.observability.metrics import Metrics
from tests.builders import make_workflow
from tests.unit.controllers.memory_api import MemoryApi


class Namespace:
    """Some runs, a cache of them, and the turns as one operator sees them."""

    def __init__(self):
        self.api = MemoryApi()
        self.cache = {}
        self.leading = True
        self.metrics = Metrics()
        services = Services(
            client=self.api,
            config=OperatorConfig(),
            metrics=self.metrics,
            recorder=EventRecorder(self.api, component="c", instance="i"),
            queue=KeyedQueue(),
            pods=PodIndex(),
            definitions=Definitions(),
            assume_pod=lambda pod: None,
            is_leader=lambda: self.leading,
        )
        self.turns = Turns(services, self.cache, self.write)

    async def write(self, view, patch):
        await self.api.merge_patch(
            RUNS, {"status": patch}, name=view.name, namespace="ns", subresource="status"
        )

    def come(self, name, *, phase=None, group="gpu", **spec):
        definition = make_workflow(concurrency=group).job("a").data()
        status = {} if phase is None else {"status": {"phase": phase}}
        self.api.put(RUNS, name, spec={"definition": definition, **spec}, **status)
        return self.watch(name)

    def watch(self, name):
        old = self.cache.get(("ns", name))
        new = self.cache["ns", name] = project_run(self.api.all(RUNS)[name])
        return [key.name for key in self.turns.changed(old, new)]

    def forget(self, name):
        return [key.name for key in self.turns.changed(self.cache.pop(("ns", name)), None)]

    async def ask(self, name):
        view = await self.turns.ask(self.cache["ns", name])
        self.watch(name)
        return view

    def status(self, name):
        return self.api.all(RUNS)[name].get("status", {})

    def message(self, name):
        return self.status(name).get("message")


@pytest.fixture
def namespace():
    return Namespace()


CANCELS = {"group": "gpu", "cancel-in-progress": True}


async def test_a_run_alone_has_its_turn_and_is_not_written_to(namespace):
    namespace.come("a")
    assert (await namespace.ask("a")).name == "a"
    assert namespace.api.writes == []


async def test_a_run_waits_and_says_for_which(namespace):
    namespace.come("a", phase="Running")
    namespace.come("b")
    assert await namespace.ask("b") is None
    status = namespace.status("b")
    assert status["message"] == "waits for run a: concurrency group 'gpu' has one at a time"
    assert (status["phase"], status["progress"]) == ("Pending", "0/1")
    reasons = {item["type"]: item["reason"] for item in status["conditions"]}
    assert reasons["Succeeded"] == "Queued"


async def test_a_wait_is_written_once(namespace):
    namespace.come("a", phase="Running")
    namespace.come("b")
    await namespace.ask("b")
    await namespace.ask("b")
    assert len(namespace.api.writes) == 1


async def test_the_older_of_two_that_wait_is_cancelled(namespace):
    namespace.come("a", phase="Running")
    for name in "bc":
        namespace.come(name)
        await namespace.ask(name)
    assert await namespace.ask("b") is None
    assert namespace.status("b")["phase"] == "Cancelled"
    assert namespace.message("b") == (
        "superseded by run c, which waits in its place in concurrency group 'gpu'"
    )
    assert namespace.status("c")["phase"] == "Pending"


async def test_the_cache_alone_never_starts_a_run(namespace):
    namespace.come("b")
    namespace.api.put(  # the watch has not brought it yet
        RUNS,
        "a",
        spec={"definition": make_workflow(concurrency="gpu").job("a").data()},
        status={"phase": "Running"},
    )
    assert await namespace.ask("b") is None
    assert namespace.message("b").startswith("waits for run a")


async def test_an_older_api_server_is_asked_for_all_runs(namespace, monkeypatch):
    ask = namespace.api.list_all

    async def list_all(resource, *, field_selector=None, **how):
        if field_selector:
            raise KubeError("field label not supported: status.phase", status=400)
        return await ask(resource, **how)

    monkeypatch.setattr(namespace.api, "list_all", list_all)
    namespace.come("a")
    assert await namespace.ask("a") is not None


async def test_a_run_that_has_gone_meanwhile_does_not_start(namespace):
    namespace.come("a")
    del namespace.api.objects["gradientruns", "ns", "a"]
    with pytest.raises(Conflict):
        await namespace.turns.ask(namespace.cache["ns", "a"])


async def test_other_groups_do_not_count(namespace):
    namespace.come("a", phase="Running", group="cpu")
    namespace.come("b")
    assert await namespace.ask("b") is not None


async def test_a_newer_run_may_cancel_the_one_under_way(namespace):
    namespace.come("a", phase="Running")
    namespace.come("b", group=CANCELS)
    await namespace.ask("b")
    await namespace.turns.make_way(namespace.cache["ns", "a"])
    spec = namespace.api.all(RUNS)["a"]["spec"]
    assert spec["cancel"] is True
    assert spec["cancelReason"] == (
        "superseded by run b, which cancels what is in progress in concurrency group 'gpu'"
    )


async def test_who_does_not_lead_cancels_nothing(namespace):
    namespace.come("a", phase="Running")
    namespace.come("b", group=CANCELS, phase="Pending")
    namespace.leading = False
    with pytest.raises(NotLeading):
        await namespace.turns.make_way(namespace.cache["ns", "a"])
    assert namespace.api.writes == []


async def test_a_waiting_run_that_a_person_cancels_ends_at_once(namespace):
    namespace.come("a", phase="Running")
    namespace.come("b", cancel=True)
    assert await namespace.ask("b") is None
    assert namespace.status("b")["phase"] == "Cancelled"
    assert namespace.message("b") == "cancelled before its turn came"


def test_the_others_are_looked_at_when_a_run_comes_ends_or_goes(namespace):
    assert namespace.come("a") == []
    assert namespace.come("b") == ["a"]
    assert namespace.come("x", group="cpu") == []
    namespace.api.all(RUNS)["a"]["status"] = {"phase": "Succeeded"}
    assert namespace.watch("a") == ["b"]
    assert namespace.come("c") == ["b"]
    assert namespace.forget("b") == ["c"]
    assert namespace.forget("c") == []


def test_a_run_made_anew_in_another_group_leaves_the_old_one(namespace):
    namespace.come("a")
    namespace.come("b")
    del namespace.api.objects["gradientruns", "ns", "a"]
    assert namespace.come("a", group="cpu") == ["b"]
    assert namespace.come("c", group="cpu") == ["a"]
    assert namespace.come("d") == ["b"]


def test_the_wait_is_counted_once_the_turn_has_come(namespace):
    namespace.come("a", phase="Pending")
    namespace.turns.waited(namespace.cache["ns", "a"])
    name = "gradient_operator_run_wait_concurrency_seconds_count"
    assert namespace.metrics.registry.get_sample_value(name) == 1


async def test_a_suspended_run_that_waits_holds_nobody_up(namespace):
    namespace.come("a", suspend=True)
    await namespace.turns.suspend(namespace.cache["ns", "a"])
    assert namespace.message("a").startswith("suspended:")
    namespace.watch("a")
    namespace.come("b")
    assert (await namespace.ask("b")).name == "b"
