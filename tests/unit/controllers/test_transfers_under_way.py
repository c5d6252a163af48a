"""How far transfers are, as metrics: few requests, and none for what is over soon."""

import json

import pytest

from gradient_operator.controllers.services import PodIndex
from gradient_operator.controllers.transfers_under_way import AT_ONCE, TransferWatch
from gradient_operator.kube.errors import NotFound
from gradient_operator.observability.metrics import Metrics
from tests.builders import ended, make_pod, running


class Api:
    """Logs by Pod and container; `asked` are those that were read."""

    def __init__(self):
        self.logs, self.asked = {}, []

    async def pod_logs(self, name, *, namespace, container, tail_lines):
        self.asked.append((name, container))
        if name not in self.logs:
            raise NotFound("gone")
        for line in self.logs[name]:
            yield json.dumps(line).encode()


class World:
    def __init__(self):
        self.api, self.pods, self.metrics = Api(), PodIndex(), Metrics()
        self.watch = TransferWatch(self.api, self.pods, self.metrics)

    def pod(self, name, **containers):
        self.pods.update(None, make_pod(name=name, uid=f"uid-{name}", **containers))

    def fetches(self, name, done=0, total=None):
        self.pod(name, fetch=running())
        self.says(name, "fetching", done, total)

    def uploads(self, name, done=0, total=None):
        self.pod(name, main=ended(0), uploader=running())
        self.says(name, "uploading", done, total)

    def says(self, name, what, done, total):
        line = {"msg": what, "path": "/x", "bytes": done, "rate": 1}
        self.api.logs[name] = [line if total is None else {**line, "total": total}]

    def value(self, name, direction):
        labels = {"direction": direction}
        return self.metrics.registry.get_sample_value(f"gradient_operator_{name}", labels)


@pytest.fixture
def world():
    return World()


async def test_a_transfer_that_lasts_says_how_far_it_is(world):
    world.fetches("a", 30, 100)
    world.fetches("b", 5)
    world.uploads("c", 7, 10)
    world.pod("works", main=running(), uploader=running())
    await world.watch.look()
    assert world.api.asked == [], "it may be over before the next look"
    assert world.value("transfers_under_way", "fetch") == 2
    assert world.value("transfer_under_way_bytes", "fetch") == 0
    await world.watch.look()
    assert sorted(world.api.asked) == [("a", "fetch"), ("b", "fetch"), ("c", "uploader")]
    assert world.value("transfer_under_way_bytes", "fetch") == 35
    assert world.value("transfer_under_way_expected_bytes", "fetch") == 100
    assert world.value("transfer_under_way_bytes", "upload") == 7


async def test_what_has_ended_counts_no_more(world):
    world.uploads("a", 7, 10)
    for _ in range(2):
        await world.watch.look()
    world.pod("a", main=ended(0), uploader=ended(0))
    await world.watch.look()
    for name in ("transfers_under_way", "transfer_under_way_bytes"):
        assert world.value(name, "upload") == 0
    assert len(world.api.asked) == 1


async def test_a_pod_that_is_gone_and_words_of_others_are_no_failure(world):
    world.uploads("a")
    world.api.logs["a"] = [{"msg": "ready"}, "…"]
    world.uploads("b")
    del world.api.logs["b"]
    for _ in range(2):
        await world.watch.look()
    assert world.value("transfers_under_way", "upload") == 2
    assert world.value("transfer_under_way_bytes", "upload") == 0


async def test_of_many_only_the_oldest_are_asked(world):
    for number in range(AT_ONCE + 5):
        name = f"p{number:02}"
        world.pod(name, fetch=running(), created_at=float(number))
        world.says(name, "fetching", 1, None)
    for _ in range(2):
        await world.watch.look()
    assert len(world.api.asked) == AT_ONCE
    assert ("p00", "fetch") in world.api.asked
    assert world.value("transfers_under_way", "fetch") == AT_ONCE + 5
