"""What is asked about Pods whose containers do not start, and how seldom."""

import asyncio
from types import SimpleNamespace

import pytest

from gradient_operator.controllers import pod_events
from gradient_operator.kube.errors import ServerError
from gradient_operator.kube.limits import TokenBucket
from tests.builders import make_pod

NOW = 1_000.0


class Events:
    """Answers with the warnings of the Pod that is asked about; `asked` has their UIDs."""

    def __init__(self, **warnings):
        self.warnings = warnings
        self.asked = []

    async def list_all(self, resource, *, namespace, field_selector):
        uid = field_selector.removeprefix("involvedObject.uid=").removesuffix(",type=Warning")
        self.asked.append(uid)
        items = [
            {"metadata": {}, "message": message, "eventTime": time}
            for time, message in self.warnings.get(uid, ())
        ]
        return SimpleNamespace(items=items)


def scene(events, *, questions=10):
    bucket = TokenBucket(rate=1.0, burst=questions, clock=lambda: 0.0)
    return SimpleNamespace(client=events, questions=bucket)


def a_state():
    return SimpleNamespace(ask_again_at=0.0, mount_problems={})


def silent_pod(job, *, scheduled_at):
    return make_pod(job, uid=job, node="one", scheduled_at=scheduled_at)


async def test_the_newest_warning_about_a_pod_that_is_late_is_kept():
    events = Events(a=[("2026-01-01T00:00:02Z", "newer"), ("2026-01-01T00:00:01Z", "older")])
    state = a_state()
    again = await pod_events.ask(
        scene(events), state, [silent_pod("a", scheduled_at=NOW - 5)], now=NOW
    )
    assert state.mount_problems == {"a": "newer"}
    assert again == pod_events.PAUSE


async def test_nothing_is_asked_before_a_pod_is_late():
    events, state = Events(), a_state()
    pods = [silent_pod("a", scheduled_at=NOW - 1)]
    assert await pod_events.ask(scene(events), state, pods, now=NOW) == pod_events.PATIENCE - 1
    assert await pod_events.ask(scene(events), state, [], now=NOW) is None
    assert events.asked == []


async def test_of_many_pods_few_are_asked_about_those_that_have_waited_longest_first():
    events = Events()
    pods = [silent_pod(f"p{n}", scheduled_at=NOW - 100 + n) for n in (5, 1, 3, 2, 4)]
    await pod_events.ask(scene(events), a_state(), pods, now=NOW)
    assert events.asked == ["p1", "p2", "p3"]


async def test_many_runs_together_ask_no_more_than_one_would():
    events = Events()
    services = scene(events, questions=5)
    pauses = [
        await pod_events.ask(
            services, a_state(), [silent_pod(f"r{n}", scheduled_at=NOW - 9)], now=NOW
        )
        for n in range(100)
    ]
    assert len(events.asked) == 5
    assert pauses == [pod_events.PAUSE] * 5 + [pod_events.CROWDED] * 95


async def test_a_run_without_its_turn_waits_as_long_if_it_is_looked_at_meanwhile():
    services, state = scene(Events(), questions=1), a_state()
    services.questions.try_take()
    pods = [silent_pod("a", scheduled_at=NOW - 9)]
    await pod_events.ask(services, state, pods, now=NOW)
    again = await pod_events.ask(services, state, pods, now=NOW + 20)
    assert again == pod_events.CROWDED - 20


async def test_a_server_that_takes_long_to_answer_is_asked_less(monkeypatch):
    seconds = iter([0.0, 1.0])  # before the question and after it
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr(pod_events, "time", clock)
    services = scene(Events(), questions=10)
    pods = [silent_pod("a", scheduled_at=NOW - 9)]
    assert await pod_events.ask(services, a_state(), pods, now=NOW) == pod_events.PAUSE
    assert await pod_events.ask(services, a_state(), pods, now=NOW) == pod_events.CROWDED


async def never(*_, **__):
    await asyncio.get_running_loop().create_future()


async def fails(*_, **__):
    raise ServerError("too busy")


@pytest.mark.looptime
@pytest.mark.parametrize("list_all", [never, fails])
async def test_a_server_without_time_for_the_question_does_not_hold_the_run_up(list_all):
    events, state = SimpleNamespace(list_all=list_all), a_state()
    pods = [silent_pod(f"p{n}", scheduled_at=NOW - 9) for n in range(3)]
    state.mount_problems["p0"] = "what was told before"
    began = asyncio.get_running_loop().time()
    again = await pod_events.ask(scene(events), state, pods, now=NOW)
    assert again == pod_events.PAUSE
    assert state.mount_problems == {"p0": "what was told before"}
    assert asyncio.get_running_loop().time() - began <= pod_events.ANSWER
