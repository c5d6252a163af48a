"""The planner against a cluster that does what it likes, and a process that dies at any time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.leftovers import superseded
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.workflow.model import CompiledWorkflow
from tests.builders import make_workflow
from tests.property.engine.simulator import Process, World

JOBS = "abcd"
OUTPUTS = st.sampled_from([None, "dataset", "string"])


@st.composite
def workflows(draw: st.DrawFn) -> CompiledWorkflow:
    """Up to four jobs; each may need any before it, and may have an output."""
    builder = make_workflow()
    for index in range(draw(st.integers(1, 4))):
        before = [job for job in JOBS[:index] if draw(st.booleans())]
        builder.job(JOBS[index]).needs(*before)
        kind = draw(OUTPUTS)
        if kind is not None:
            builder.makes("o", kind, "data" if kind == "dataset" else None)
        elif draw(st.integers(0, 5)) == 0:
            builder.uses("create-model@v1", name="m", type="Custom")
            builder.takes("model", {"type": "dataset", "with": {"ref": "data"}})
    return builder.compile()


class Run(RuleBasedStateMachine):
    """One run from its start to its end."""

    @initialize(workflow=workflows(), retries=st.integers(0, 2), infra_retries=st.integers(0, 2))
    def begin(self, workflow, retries, infra_retries):
        policy = Policy(retries=retries, infra_retries=infra_retries)
        self.world = World(workflow, policy)
        self.process = Process(self.world, lambda: False)

    def pods(self):
        return sorted(self.world.pods)

    def some_pod(self, data):
        return data.draw(st.sampled_from(self.pods()))

    # What the operator does.

    @rule(
        faults=st.lists(st.booleans(), max_size=12),
        write=st.sampled_from(["written", "refused", "postponed"]),
    )
    def look(self, faults, write):
        """Requests fail, or their answers are lost, as the list says."""
        left = iter(faults)
        self.process.fails = lambda: next(left, False)
        found = self.process.look()
        if not faults:
            again = self.process.plan()
            assert again.actions == (), "planning again from the outcome adds something"
            assert dict(again.ledger) == self.process.ledger
        self.process.fails = lambda: write == "refused"
        if write != "postponed":
            self.process.write(found.phase)
        self.process.fails = lambda: False

    @rule()
    def die_and_restart(self):
        self.process = Process(self.world, lambda: False)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data())
    def watch(self, data):
        self.process.deliver(self.some_pod(data))

    @rule()
    def watch_everything(self):
        for key in {*self.world.pods, *self.process.cache}:
            self.process.deliver(key)

    # What happens to it.

    @precondition(lambda self: self.world.pods)
    @rule(
        data=st.data(),
        what=st.sampled_from(["schedule", "start", "obey", "evict", "lose_node", "fall_silent"]),
    )
    def happen(self, data, what):
        key = self.some_pod(data)
        if key not in self.world.silent:
            getattr(self.world, what)(key)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data())
    def live(self, data):
        """The most usual of all: a Pod goes its way to its end."""
        key = self.some_pod(data)
        if key not in self.world.silent:
            self.world.schedule(key)
            self.world.start(key)
            self.world.end_main(key, 0)
            self.world.end_upload(key, 0)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data(), code=st.sampled_from([0, 0, 1, 137]), uploader=st.booleans())
    def end(self, data, code, uploader):
        key = self.some_pod(data)
        if key in self.world.silent:
            return
        (self.world.end_upload if uploader else self.world.end_main)(key, code)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data(), grace=st.sampled_from([0, 30, 3_600]))
    def delete_by_hand(self, data, grace):
        self.world.delete(self.some_pod(data), grace)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data())
    def vanish(self, data):
        """Somebody takes the finalizer off a Pod that the status knows, and deletes it."""
        job, attempt = self.some_pod(data)
        if self.world.status.get(job, JobRecord()).attempt >= attempt:
            self.world.vanish((job, attempt))
            self.process.deliver((job, attempt))

    @rule(seconds=st.sampled_from([0.5, 10.0, 400.0]))
    def pass_time(self, seconds):
        self.world.now += seconds

    @rule(problem=st.sampled_from(["", "S3 is away"]))
    def storage(self, problem):
        self.world.storage_problem = problem

    @rule(really=st.integers(0, 4))
    def cancel(self, really):
        self.world.cancel = self.world.cancel or really == 0

    # What must hold at any time. That an attempt is never made twice, no job starts before its
    # needs, and no final job changes is asserted where it would happen, in the simulator.

    @invariant()
    def a_released_pod_was_recorded(self):
        for pod in self.world.pods.values():
            assert pod.held or self.process.ended(pod)

    @invariant()
    def an_unlooked_for_success_is_kept(self):
        for job, record in self.world.status.items():
            if record.phase is JobPhase.SUCCEEDED and self.world.makes_dataset(job):
                assert record.pod_uid in self.world.committed

    def teardown(self):
        """When the faults end, so does the run, and nothing of it is left running."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.storage_problem = ""
        self.process.fails = lambda: False
        self.tidy()
        for _ in range(60):
            for key in self.pods():
                self.go_on(key)
            self.watch_everything()
            found = self.process.look()
            self.process.write(found.phase)
            world.now += 60.0
            if world.phase.final and not self.alive():
                break
        assert world.phase.final
        assert not self.alive()
        assert not any(pod.held for pod in world.pods.values())
        if not world.cancel:
            assert world.phase is not RunPhase.CANCELLED

    def tidy(self):
        """One look at all that there is stops whatever runs for an attempt that is over."""
        self.watch_everything()
        self.process.write(self.process.look().phase)
        self.process.look()
        for pod in self.world.pods.values():
            over = superseded(pod, self.process.ledger[pod.job])
            assert not over or pod.terminal or pod.main_ended or pod.deleting

    def go_on(self, key):
        if key in self.world.silent or key not in self.world.pods:
            return
        self.world.schedule(key)
        self.world.obey(key)
        if key in self.world.pods:
            self.world.start(key)
            self.world.end_main(key, 0)
            self.world.end_upload(key, 0)

    def alive(self):
        return [
            key
            for key, pod in self.world.pods.items()
            if not pod.terminal and not pod.deleting and key not in self.world.silent
        ]


Run.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, derandomize=True
)
TestRun = Run.TestCase
