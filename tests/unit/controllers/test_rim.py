"""What kopf hears becomes plain maps; what is wrong with one object stops no other."""

import asyncio
import os
import signal

import kopf
import pytest

from gradient_operator.controllers import rim
from gradient_operator.controllers.rim import Rim
from gradient_operator.controllers.services import Definitions, Key


class Heard:
    """A rim, and what it called back with."""

    def __init__(self):
        self.definitions = Definitions()
        self.keys = []
        self.changes = 0
        self.rim = Rim(self.definitions, enqueue=self.keys.append, definitions_changed=self.changed)

    def changed(self):
        self.changes += 1


@pytest.fixture
def heard():
    return Heard()


def body(name, spec=None, namespace="ns"):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec or {}}


PROVIDER = {"endpoint": "http://s3:1", "bucket": "cats", "credentialsSecret": "s"}


def test_a_workflow_is_noted_and_looked_at(heard):
    heard.rim.take_workflow(body("w"), gone=False)
    assert heard.keys == [Key("workflow", "ns", "w")]
    assert ("ns", "w") in heard.rim.workflows
    heard.rim.take_workflow(body("w"), gone=True)
    assert heard.rim.workflows == {}


def test_a_machine_type_is_known_by_the_name_that_jobs_use(heard):
    heard.rim.take_instance_type(body("c4", {"name": "C4"}), gone=False)
    assert list(heard.definitions.instance_types) == ["C4"]
    heard.rim.take_instance_type(body("c4", {"name": "C4"}), gone=True)
    assert heard.definitions.instance_types == {}
    assert heard.changes == 2


def test_a_provider_is_known_by_namespace_and_name(heard):
    heard.rim.take_provider(body("p", PROVIDER), gone=False)
    assert heard.definitions.providers["ns", "p"].bucket == "cats"
    heard.rim.take_provider(body("p", PROVIDER), gone=True)
    assert heard.definitions.providers == {}
    assert heard.changes == 2


def test_what_has_not_changed_wakes_nobody(heard):
    for _ in range(2):
        heard.rim.take_instance_type(body("c4", {"name": "C4"}), gone=False)
        heard.rim.take_provider(body("p", PROVIDER), gone=False)
    assert heard.changes == 2


@pytest.mark.parametrize("take", ["take_instance_type", "take_provider"])
def test_an_invalid_definition_counts_as_absent(heard, take):
    getattr(heard.rim, take)(body("bad", {"xyzzy": 1}), gone=False)
    assert heard.definitions == Definitions()
    assert heard.changes == 0


async def test_kopf_begins_again_when_it_fails_and_leaves_other_tasks_alone(heard, monkeypatch):
    lives, waiters = [], []

    async def fail():
        raise ValueError("a watch was answered with 410")

    async def spawn_tasks(*, stop_flag, **_):
        forever = asyncio.create_task(asyncio.Event().wait())
        end = fail() if not lives else stop_flag.wait()
        lives.append(forever)
        assert all(waiter.done() for waiter in waiters), "a life that failed is not over"
        waiters.append(asyncio.create_task(stop_flag.wait()))  # which kopf does not cancel
        if len(lives) == 2:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        return [forever, asyncio.create_task(end)]

    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    running = asyncio.create_task(rim.run(heard.rim, namespace="ns", identity="one"))
    ours = asyncio.create_task(asyncio.Event().wait())
    await running
    assert [life.cancelled() for life in lives] == [True, True]
    await asyncio.gather(*waiters)
    assert not ours.done()
    ours.cancel()
