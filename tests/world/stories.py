"""What people do in a world, and how it would end if nothing went wrong.

Between them the stories make every kind of request that the operator has: starts, jobs, retries,
cancels, outputs, strings, models, claims, turns of a concurrency group, deletions.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.builders import WorkflowBuilder, make_workflow
from tests.world.nodes import Attempt, Fate
from tests.world.world import World

Happens = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    """`begins` is there before the operator; `happens` goes on beside it."""

    name: str
    begins: Callable[[World], None]
    happens: Happens | None = None
    fates: dict[Attempt, Fate] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def chain(length: int = 3) -> WorkflowBuilder:
    builder = make_workflow()
    for number in range(length):
        builder.job(f"j{number}")
        if number:
            builder.needs(f"j{number - 1}")
    return builder


def fan(width: int = 4) -> WorkflowBuilder:
    builder = make_workflow().job("first")
    for number in range(width):
        builder.job(f"m{number}").needs("first")
    return builder.job("last").needs(*(f"m{number}" for number in range(width)))


def data() -> WorkflowBuilder:
    """A dataset and a string that go on to other jobs, and a model."""
    builder = make_workflow().job("make").makes("d", "dataset", "cats").makes("s", "string")
    builder.job("use").needs("make").takes("d", "make.outputs.d").takes("s", "make.outputs.s")
    builder.job("register").needs("make").takes("model", "make.outputs.d")
    return builder.uses("create-model@v1", name="Cats", type="Custom")


def volumes() -> WorkflowBuilder:
    builder = make_workflow().job("write").makes("v", "volume")
    return builder.job("read").needs("write").takes("v", "write.outputs.v")


def _retries(world: World) -> None:
    world.start("r", chain(2).job("alone"), policy={"retries": 1})


async def _cancel(world: World) -> None:
    await world.until(lambda: world.job("r", "j1").get("phase") == "Running")
    world.change("run", "r", cancel=True)


async def _delete(world: World) -> None:
    await world.until(lambda: world.job("r", "make").get("phase") == "Running")
    world.delete("run", "r")


def _turns(world: World) -> None:
    """The third takes the place of the second while the first runs."""
    for name in ("r1", "r2", "r3"):
        world.start(name, make_workflow(concurrency="gpu").job("a"))


def _replaced(world: World) -> None:
    group = {"group": "gpu", "cancel-in-progress": True}
    world.start("r1", make_workflow(concurrency=group).job("a"))


async def _replacing(world: World) -> None:
    await world.until(lambda: world.job("r1", "a").get("phase") == "Running")
    group = {"group": "gpu", "cancel-in-progress": True}
    world.start("r2", make_workflow(concurrency=group).job("a"))


def _workflow(world: World) -> None:
    world.put("workflow", "w", spec=chain(1).data())


async def _applied(world: World) -> None:
    await world.until(lambda: len(world.runs()) == 1 and world.runs_are_over())
    world.change("workflow", "w", **chain(2).data())
    await world.until(lambda: len(world.runs()) == 2)


EXIT = Fate(code=3)
EVICTED = Fate(evicted=True)
LONG = Fate(endless=True)
STORIES = [
    Story("chain", lambda world: world.start("r", chain())),
    Story("fan", lambda world: world.start("r", fan())),
    Story(
        "retries",
        _retries,
        fates={
            ("r", "j0", 1): EXIT,
            ("r", "alone", 1): EXIT,
            ("r", "alone", 2): EXIT,
            ("r", "j1", 1): EVICTED,
        },
    ),
    Story("data", lambda world: world.start("r", data())),
    Story(
        "upload fails",
        lambda world: world.start("r", data()),
        fates={("r", "make", 1): Fate(upload=75)},
    ),
    Story("volumes", lambda world: world.start("r", volumes())),
    Story(
        "cancel",
        lambda world: world.start("r", chain().job("alone")),
        _cancel,
        {("r", "j1", 1): LONG, ("r", "alone", 1): Fate(seconds=0.1)},
    ),
    Story("delete", lambda world: world.start("r", data()), _delete, {("r", "make", 1): LONG}),
    Story("turns", _turns, fates={("r1", "a", 1): Fate(seconds=25)}),
    Story("replaced", _replaced, _replacing, {("r1", "a", 1): LONG}),
    Story("workflow", _workflow, _applied),
]
