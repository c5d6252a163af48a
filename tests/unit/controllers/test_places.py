"""Places: who holds them, who is next, what a restart and a run that goes make of it."""

from dataclasses import replace

import pytest

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.places import PlaceKeeper
from tests.builders import make_pod


class World:
    """A keeper, and the runs that it has woken."""

    def __init__(self, **config):
        self.config = OperatorConfig.model_validate(config)
        self.restart()

    def restart(self, *pods):
        self.woken = []
        self.keeper = PlaceKeeper(self.config, lambda run: self.woken.append(run[1]))
        for pod in pods:
            self.keeper.pod_changed(None, pod)

    def ask(self, run, *jobs, created=0.0, priority=0, machine="C4"):
        rank = (-priority, created, "ns", run)
        self.keeper.ask(("ns", run), rank, [(job, machine) for job in jobs])
        return self.given(run)

    def given(self, run):
        return sorted(self.keeper.places(("ns", run)).given)

    def told(self, run, machine="C4"):
        return self.keeper.places(("ns", run)).told[machine]

    def start(self, run, job, machine="C4"):
        made = pod(run, job, machine)
        self.keeper.pod_changed(None, made)
        return made

    def end(self, made):
        self.keeper.pod_changed(made, replace(made, phase="Succeeded"))


def pod(run, job, machine="C4", **changes):
    return make_pod(job, run=run, uid=f"{run}-{job}", machine=machine, **changes)


@pytest.fixture
def world():
    return World(namespaces={"ns": {"maxRunningJobs": 2}})


def test_without_limits_nothing_is_kept():
    assert not World().keeper.needed
    assert World(machineTypeLimits={"C4": 1}).keeper.needed
    assert World(namespacePolicy={"maxRunningJobs": 0}).keeper.needed


def test_places_are_given_until_none_is_left_and_the_next_is_woken_alone(world):
    assert world.ask("a", "x", "y", "z") == ["x", "y"]
    first, _ = world.start("a", "x"), world.start("a", "y")
    assert world.ask("b", "x", created=1) == []
    assert world.ask("c", "x", created=2) == []
    assert world.woken == []
    world.ask("a", "z")
    world.end(first)
    assert world.woken == ["a"]
    world.start("a", "z")
    world.ask("a")
    world.end(pod("a", "y"))
    assert world.woken == ["a", "b"]


def test_a_place_counts_as_taken_from_when_it_is_given(world):
    assert world.ask("a", "x") == ["x"]
    assert world.ask("b", "x", "y") == ["x"]
    assert world.ask("c", "x") == []


def test_a_place_that_was_not_used_goes_to_the_next(world):
    world.ask("a", "x", "y")
    world.ask("b", "x", "y", created=1)
    world.keeper.settle(("ns", "a"))
    assert world.woken == ["b"]
    assert world.given("b") == ["x", "y"]


def test_what_a_run_no_longer_wants_is_given_to_others(world):
    world.ask("a", "x", "y", "z")
    world.ask("b", "x", created=1)
    assert world.ask("a", "y") == ["y"]
    assert world.given("b") == ["x"]
    world.keeper.forget(("ns", "a"))
    assert world.ask("c", "x", created=2) == ["x"]


def test_a_higher_priority_passes_who_waits_longer(world):
    held = [world.start("z", job) for job in "xy"]
    world.ask("old", "x", created=1)
    world.ask("urgent", "x", created=2, priority=10)
    world.end(held[0])
    assert world.woken == ["urgent"]


def test_who_waits_says_for_what_who_holds_it_and_the_place_in_the_line(world):
    world.start("a", "x")
    world.start("a", "y")
    world.ask("b", "x", "y", created=1)
    world.ask("c", "x", created=2)
    reason, text = world.told("c")
    assert reason == "NamespaceLimit"
    assert text == ("namespace ns has 2 places, held by run a (2); number 3 of 3 in the line")
    assert world.keeper.position(("ns", "c")) == 3


def test_a_machine_type_is_limited_over_all_namespaces_and_names_no_foreign_run():
    world = World(machineTypeLimits={"A100": 1})
    world.keeper.pod_changed(None, pod("theirs", "x", "A100", namespace="other"))
    assert world.ask("a", "x", machine="A100") == []
    reason, text = world.told("a", "A100")
    assert reason == "MachineTypeLimit"
    assert text.startswith("machine type A100 has one place, held by other namespaces (1); number")
    assert world.ask("b", "x") == ["x"], "another type has no limit"


def test_a_pod_holds_its_place_until_none_of_it_runs(world):
    for job in "xy":
        world.start("a", job)
    made = pod("a", "x")
    going = replace(made, deletion_at=99.0)
    world.ask("b", "x")
    world.keeper.pod_changed(made, going)
    assert world.woken == []
    world.keeper.pod_changed(going, None)
    assert world.woken == ["b"]


def test_after_a_restart_holders_count_and_the_order_is_kept(world):
    world.restart(pod("z", "x"))
    order = [(("ns", name), (0, float(number), "ns", name)) for number, name in enumerate("zab")]
    world.keeper.expect(order)
    assert world.ask("b", "x", created=2) == [], "a was not looked at yet"
    assert "earlier runs" in world.told("b")[1]
    assert world.ask("z") == []
    assert world.ask("a", "x", created=1) == ["x"]
    assert world.given("b") == []
    world.start("a", "x")
    world.end(pod("z", "x"))
    assert world.given("b") == ["x"]


def test_a_run_whose_first_look_fails_holds_nobody_up(world):
    world.keeper.expect([(("ns", "broken"), (0, 1.0, "ns", "broken"))])
    assert world.ask("a", "x", created=2) == []
    world.keeper.settle(("ns", "broken"))
    assert world.woken == ["a"]


def test_two_thousand_that_wait_are_not_all_woken_when_one_place_is_free(world):
    held = [world.start("z", job) for job in "xy"]
    for number in range(2_000):
        world.ask(f"r{number}", "x", created=float(number))
    for made in held:
        world.end(made)
    assert world.woken == ["r0", "r1"]
