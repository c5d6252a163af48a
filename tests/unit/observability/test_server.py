import asyncio
from dataclasses import dataclass, field

import aiohttp
import pytest

from gradient_operator.observability.health import Health
from gradient_operator.observability.metrics import Metrics
from gradient_operator.observability.server import ObservabilityServer


@dataclass
class Part:
    """A reflector or a queue, as health sees it."""

    age: float = 0.0
    synced: asyncio.Event = field(default_factory=asyncio.Event)

    def last_event_age(self) -> float:
        return self.age

    def oldest_age(self) -> float:
        return self.age


@dataclass
class Process:
    lag: float = 0.0
    leading: bool = True
    pods: Part = field(default_factory=Part)
    queue: Part = field(default_factory=Part)
    metrics: Metrics = field(default_factory=Metrics)
    url: str = ""

    async def ask(self, path: str) -> tuple[int, dict]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.json()


@pytest.fixture
async def process():
    made = Process()
    made.pods.synced.set()
    health = Health(
        loop_lag=lambda: made.lag,
        reflectors={"pods": made.pods},
        queues={"runs": made.queue},
        is_leader=lambda: made.leading,
    )
    server = ObservabilityServer(made.metrics, health)
    made.url = f"http://127.0.0.1:{await server.start(0, host='127.0.0.1')}"
    yield made
    await server.close()


async def test_a_sound_process_is_alive_and_ready(process):
    for path in ("/livez", "/readyz"):
        assert await process.ask(path) == (200, {"status": "ok", "role": "leader", "failed": []})


@pytest.mark.parametrize(
    ("part", "value", "check", "why"),
    [
        ("lag", 6.0, "event loop", "late by 6.0 s"),
        ("pods", 181.0, "reflector pods", "silent for 181 s"),
        ("queue", 301.0, "queue runs", "waited for 301 s"),
    ],
)
async def test_what_is_stuck_is_named(process, part, value, check, why):
    if part == "lag":
        process.lag = value
    else:
        getattr(process, part).age = value
    code, body = await process.ask("/livez")
    assert code == 503
    (failure,) = body["failed"]
    assert failure["check"] == check
    assert why in failure["why"]
    assert (await process.ask("/readyz"))[0] == 200


async def test_the_queue_of_a_standby_may_wait(process):
    process.leading = False
    process.queue.age = 10_000.0
    assert (await process.ask("/livez"))[0] == 200


async def test_a_warm_standby_is_ready_and_a_cold_leader_is_not(process):
    process.leading = False
    code, body = await process.ask("/readyz")
    assert (code, body["role"]) == (200, "standby")
    process.leading = True
    process.pods.synced.clear()
    code, body = await process.ask("/readyz")
    assert code == 503
    assert body["failed"] == [
        {"check": "reflector pods", "why": "its first list has not arrived yet"}
    ]


async def test_metrics_are_served_as_prometheus_reads_them(process):
    process.metrics.leader.set(1)
    async with (
        aiohttp.ClientSession() as session,
        session.get(process.url + "/metrics") as response,
    ):
        assert response.content_type == "text/plain"
        assert "gradient_operator_leader 1.0" in await response.text()


async def test_a_port_that_is_taken_is_an_error(process):
    taken = int(process.url.rpartition(":")[2])
    health = Health(loop_lag=float, reflectors={}, queues={}, is_leader=lambda: True)
    server = ObservabilityServer(Metrics(), health)
    with pytest.raises(OSError, match="address already in use"):
        await server.start(taken, host="127.0.0.1")
    await server.close()
