"""Whole operators in a world where requests fail, news are late, processes die and clocks jump.

Seeds choose everything: what people ask for, how attempts end, what becomes of each request, when
the operator dies or is cut off from the server, and who takes over. Whatever they choose, the audit
finds nothing that must never happen, every run ends, and it ends as the attempts have.
"""

import asyncio
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradient_operator.kube.errors import (
    Conflict,
    Gone,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from tests.builders import make_workflow
from tests.world.line import Fault
from tests.world.nodes import Fate
from tests.world.world import in_world

EXAMPLES = 50


class Trouble:
    """What goes wrong, drawn from a seed; it calms down after a while, or nothing would end."""

    def __init__(self, seed, *, rate, loop, until):
        self.random = random.Random(seed)
        self.rate = rate
        self.loop = loop
        self.until = until
        self.drawn = 0

    def fault(self, call):
        if self.loop.time() > self.until or self.random.random() >= self.rate:
            return None
        self.drawn += 1
        chosen = self.random.choice(FAULTS)
        if call.method == "GET" or call.resource == "leases":
            chosen = self.random.choice(READS)
        return chosen()

    def delay(self, _):
        """News of a watch come late, and those of one kind later than those of another."""
        return self.random.choice(DELAYS) if self.loop.time() < self.until else 0.0


DELAYS = (0.0, 0.0, 0.0, 0.05, 2.0, 20.0)
FAULTS = (
    lambda: Fault(TooManyRequests("later", retry_after=1.0)),
    lambda: Fault(ServerError("broken")),
    lambda: Fault(ServerError("unavailable", status=503)),
    lambda: Fault(Unreachable("reset")),
    lambda: Fault(Unreachable("refused", sent=False)),
    lambda: Fault(Unreachable("the answer was lost"), done=True),
    lambda: Fault(Unreachable("the answer was lost"), done=True, slow=3.0),
    lambda: Fault(Conflict("somebody else was quicker")),
    lambda: Fault(slow=4.0),
)
READS = (*FAULTS[:5], lambda: Fault(slow=2.0))


def definition(data):
    """Up to five jobs, each needing some before it, some with outputs; and how they end."""
    builder, fates = make_workflow(), {}
    count = data.draw(st.integers(1, 5), label="jobs")
    for number in range(count):
        needs = [f"j{other}" for other in range(number) if data.draw(st.booleans())]
        builder.job(f"j{number}").needs(*needs)
        if data.draw(st.integers(0, 3)) == 0:
            builder.makes("o", "dataset", f"d{number}")
        kinds = [Fate(), Fate(), Fate(code=3), Fate(evicted=True), Fate(seconds=45.0)]
        for attempt in (1, 2):
            fates[f"j{number}", attempt] = data.draw(st.sampled_from(kinds), label="fate")
    return builder, fates


def expected(builder, fates, retries):
    """How each job must end: its budget is `retries` exits and three evictions."""
    ends = {}
    for name, job in builder.jobs.items():
        if any(ends[need] != "Succeeded" for need in job.get("needs", ())):
            ends[name] = "Omitted"
            continue
        exits, attempt = 0, 1
        while exits <= retries:
            fate = fates.get((name, attempt), Fate())
            if fate.code == 0 and not fate.evicted:
                break
            exits += fate.code != 0
            attempt += 1
        ends[name] = "Succeeded" if exits <= retries else "Failed"
    return ends


async def strike(world, line, chooser):
    """One thing happens to one process, or to its clock."""
    match chooser.choice(("die", "cut", "silence", "gone", "outage", "compact", "jump")):
        case "die":
            line.die()
        case "cut":
            line.cut()
        case "silence":
            line.silence()
        case "gone":
            line.end_with(Gone("too old", reason="Expired"))
        case "outage":
            line.troubles.refusing = True
            line.cut()
            await asyncio.sleep(chooser.choice((1.0, 8.0, 25.0)))
            line.troubles.refusing = False
        case "compact":
            world.server.compact()
            line.cut()
        case "jump":
            world.loop.jump = chooser.choice((-40.0, 0.0, 40.0))


async def disturb(world, chooser, trouble):
    """Processes die, are cut off, and meet each other; watches break."""

    def begin():
        life = world.operate(f"operator-{len(world.lives)}")
        life.line.troubles.fault, life.line.troubles.delay = trouble.fault, trouble.delay
        return life

    begin()
    if chooser.random() < 0.5:
        begin()  # one waits beside it
    while world.loop.time() < trouble.until:
        await asyncio.sleep(chooser.uniform(0.05, 6.0))
        living = [life for life in world.lives if not life.line.dead.is_set()]
        if living:
            await strike(world, chooser.choice(living).line, chooser)
        else:
            begin()
    world.loop.jump = 0.0


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), seed=st.integers(0, 2**32), rate=st.sampled_from([0.0, 0.1, 0.3]))
def test_whatever_goes_wrong_every_run_ends_as_its_attempts_did(folder, data, seed, rate):
    retries = data.draw(st.integers(0, 1), label="retries")
    loads = {f"r{number}": definition(data) for number in range(data.draw(st.integers(1, 2)))}
    fates = {(run, *key): fate for run, (_, made) in loads.items() for key, fate in made.items()}

    async def play(world):
        chooser = random.Random(seed)
        trouble = Trouble(seed, rate=rate, loop=world.loop, until=40.0)
        for run, (builder, _) in loads.items():
            world.start(run, builder, policy={"retries": retries, "infraRetries": 3})
        await disturb(world, chooser, trouble)
        if all(life.line.dead.is_set() for life in world.lives):
            world.operate("the last")
        await world.settle(again=lambda _: world.operate(f"again-{len(world.lives)}"))
        assert world.audit.violations == []
        for run, (builder, made) in loads.items():
            jobs = world.status(run)["jobs"]
            found = {name: job["phase"] for name, job in jobs.items()}
            assert found == expected(builder, made, retries)
        return world

    in_world(folder, play, fates=fates)
