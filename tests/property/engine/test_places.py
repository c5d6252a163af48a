"""Places under any sequence of events: never too many, in order, and nobody is forgotten."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.places import PlaceKeeper
from tests.builders import make_pod

RUNS = st.integers(0, 5)
SPACES = ("a", "b")
MACHINES = ("C4", "A100")
LIMITS = {"namespaces": {"a": {"maxRunningJobs": 2}}, "machineTypeLimits": {"A100": 1}}


class Queue(RuleBasedStateMachine):
    """Runs want places, use them or not, end, and the operator starts anew."""

    def __init__(self):
        super().__init__()
        self.pods, self.wants, self.made = {}, {}, 0
        self.begin()

    def begin(self):
        self.woken = set()
        self.keeper = PlaceKeeper(OperatorConfig.model_validate(LIMITS), self.woken.add)
        for pod in self.pods.values():
            self.keeper.pod_changed(None, pod)

    def key(self, number):
        return SPACES[number % 2], f"r{number}"

    def rank(self, number):
        # Every third run has a higher priority.
        return -(number % 3 == 0), float(number), *self.key(number)

    def look(self, number, *, use=True):
        run = self.key(number)
        self.woken.discard(run)
        self.keeper.ask(run, self.rank(number), self.wants.get(number, []))
        given = self.keeper.places(run).given if use else ()
        for job in given:
            machine = dict(self.wants[number])[job]
            pod = make_pod(job, run=run[1], namespace=run[0], uid=job, machine=machine)
            self.wants[number] = [want for want in self.wants[number] if want[0] != job]
            self.pods[job] = pod
            self.keeper.pod_changed(None, pod)
        self.keeper.ask(run, self.rank(number), self.wants.get(number, []))
        self.keeper.settle(run)
        if not use:
            self.woken.add(run)  # a Pod that could not be made is tried again

    @rule(
        number=RUNS, machine=st.sampled_from(MACHINES), count=st.integers(1, 3), use=st.booleans()
    )
    def want(self, number, machine, count, use):
        for _ in range(count):
            self.made += 1
            self.wants.setdefault(number, []).append((f"job-{self.made}", machine))
        self.look(number, use=use)

    @rule(data=st.data())
    def end(self, data):
        if self.pods:
            name = data.draw(st.sampled_from(sorted(self.pods)))
            pod = self.pods.pop(name)
            self.keeper.pod_changed(pod, replace(pod, phase="Succeeded"))

    @rule(number=RUNS)
    def cancel(self, number):
        self.wants.pop(number, None)
        self.keeper.forget(self.key(number))

    @rule()
    def restart(self):
        self.begin()
        going = [number for number, wants in self.wants.items() if wants]
        self.keeper.expect([(self.key(number), self.rank(number)) for number in going])
        for number in sorted(going, reverse=True):
            self.look(number)

    @rule()
    def work(self):
        """Look at every run that was woken, until nobody is."""
        for _ in range(100):
            if not self.woken:
                return
            _, name = min(self.woken)
            self.look(int(name[1:]))
        raise AssertionError("runs wake each other for ever")

    @rule()
    def drain(self):
        """When everything that runs ends, everybody gets a place, those in front first."""
        while any(self.wants.values()) or self.pods:
            before = dict(self.pods)
            for name in list(self.pods):
                pod = self.pods.pop(name)
                self.keeper.pod_changed(pod, None)
            self.work()
            assert self.pods or before, "somebody waits, nothing runs, and nobody was woken"

    @invariant()
    def never_too_many(self):
        assert sum(pod.namespace == "a" for pod in self.pods.values()) <= 2
        assert sum(pod.machine == "A100" for pod in self.pods.values()) <= 1

    @invariant()
    def no_place_is_free_for_the_first_in_the_line(self):
        """Once all that were woken were looked at, whoever waits in front lacks a place."""
        if self.woken:
            return
        waiting = [number for number, wants in self.wants.items() if wants]
        if not waiting:
            return
        first = min(waiting, key=self.rank)
        space, _ = self.key(first)
        _, machine = self.wants[first][0]
        full = space == "a" and sum(pod.namespace == "a" for pod in self.pods.values()) >= 2
        assert full or (
            machine == "A100" and any(pod.machine == "A100" for pod in self.pods.values())
        )


Queue.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_places = Queue.TestCase
