import asyncio
from types import SimpleNamespace

import pytest

from tests.bench import machine, rounds
from tests.bench.engines import GRADIENT
from tests.bench.model import QUICK, BenchError, Contestant, Figure, Load, Measurement


class Scene(SimpleNamespace):
    sizes = QUICK
    folder = "logs"

    def __init__(self):
        super().__init__(played=[], cleaned=0, engine=GRADIENT)

    async def clean(self):
        self.cleaned += 1


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    async def at_once():
        return 0.0

    monkeypatch.setattr(machine, "calm", at_once)


def load(play, *, seconds=5.0):
    return Load(
        key="B9",
        title="t",
        explanation="",
        figures=(Figure("total", "time", "s"),),
        seconds=seconds,
        rounds=1,
        run=play,
    )


async def play(scene, contestant):
    scene.played.append(contestant)
    return Measurement({"total": 1.0}, {})


async def test_contestants_take_turns_in_reverse_order_every_second_round():
    scene = Scene()
    result = await rounds.run_load(load(play), scene, rounds=3, say=lambda _: None)
    forth = list(Contestant)
    assert scene.played == [*forth, *reversed(forth), *forth]
    assert len(result.rounds) == 3


async def test_the_namespace_is_cleared_after_each_contestant():
    scene = Scene()
    await rounds.run_load(load(play), scene, rounds=2, say=lambda _: None)
    assert scene.cleaned == 6


async def test_load_that_takes_too_long_fails_with_its_name_and_limit():
    async def hang(scene, contestant):
        await asyncio.Event().wait()

    with pytest.raises(BenchError, match=r"B9, bare: not done within 0 s; .* logs"):
        await rounds.run_load(load(hang, seconds=0.01), Scene(), rounds=1, say=lambda _: None)


async def test_failure_says_which_load_and_contestant_failed():
    async def fail(scene, contestant):
        if contestant is Contestant.OPERATOR:
            raise BenchError("two Pods")
        return await play(scene, contestant)

    with pytest.raises(BenchError, match="B9, operator: two Pods"):
        await rounds.run_load(load(fail), Scene(), rounds=1, say=lambda _: None)
