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
from gradient_operator.engine.actions import AbortUpload
from gradient_operator.engine.leftovers import superseded
from gradient_operator.engine.model import JobPhase, JobRecord, RunPhase
from gradient_operator.workflow.model import CompiledWorkflow
from tests.builders import make_workflow
from tests.property.engine.simulator import Process, World

JOBS = "abcd"
OUTPUTS = st.sampled_from([None, "dataset", "string"])


STATUS = ["always()", "failure()", "success()", "cancelled()", "!cancelled()", "true", "false"]


@st.composite
def conditions(draw, before, strings):
    """The `if` of a job with these needs; `strings` are those with a string that it may read."""
    found = list(STATUS)
    for need in before:
        found += [
            f"needs.{need}.result == 'success'",
            f"always() && needs.{need}.result != 'success'",
        ]
    for need in strings:
        found += [f"needs.{need}.outputs.o == 'x'", f"double(needs.{need}.outputs.o) > 0.5"]
    return draw(st.sampled_from(found))


@st.composite
def strategies(draw):
    """A matrix of two or three combinations."""
    matrix = {"n": list(range(draw(st.integers(2, 3))))}
    strategy = {"matrix": matrix, "fail-fast": draw(st.booleans())}
    limit = draw(st.sampled_from([None, 1, 2]))
    return strategy if limit is None else {**strategy, "max-parallel": limit}


@st.composite
def workflows(draw: st.DrawFn) -> CompiledWorkflow:
    """Up to four jobs; each may need any before it, take from it, and may have an output."""
    builder = make_workflow()
    made: dict[str, tuple[str | None, bool]] = {}
    for index in range(draw(st.integers(1, 4))):
        name = JOBS[index]
        before = [job for job in JOBS[:index] if draw(st.booleans())]
        builder.job(name).needs(*before)
        many = draw(st.integers(0, 3)) == 0
        kind = draw(OUTPUTS)
        if kind is not None:
            builder.makes("o", kind, "data" if kind == "dataset" else None)
        elif draw(st.integers(0, 5)) == 0:
            builder.uses("create-model@v1", name="m", type="Custom")
            builder.takes("model", {"type": "dataset", "with": {"ref": "data"}})
        for source in before:
            if made[source][0] is not None and draw(st.booleans()):
                builder.takes(f"from-{source}", f"{source}.outputs.o")
        controlled(draw, builder, before, made)
        if many:
            builder.put("strategy", draw(strategies()))
        made[name] = (kind, many)
    return builder.compile()


@st.composite
def sweeps(draw: st.DrawFn) -> CompiledWorkflow:
    """A matrix whose combinations fail, take too long and are tried again, and a job behind it."""
    builder = make_workflow().job("a").put("strategy", draw(strategies()))
    kind = draw(OUTPUTS)
    if kind is not None:
        builder.makes("o", kind, "data" if kind == "dataset" else None)
    builder.put("timeout-minutes", 0.1).put("retries", draw(st.integers(0, 1)))
    builder.job("b").needs("a").put("if", draw(conditions(["a"], [])))
    return builder.compile()


def controlled(draw, builder, before, made):
    """Perhaps a condition, a timeout, and what becomes of the run when the job fails."""
    strings = [job for job in before if made[job][0] == "string" and not made[job][1]]
    if draw(st.booleans()):
        builder.put("if", draw(conditions(before, strings)))
    if draw(st.integers(0, 2)) == 0:
        builder.put("timeout-minutes", draw(st.sampled_from([0.1, 5])))
    if draw(st.integers(0, 3)) == 0:
        builder.jobs[builder.current]["continue-on-error"] = True
    if draw(st.integers(0, 3)) == 0:
        builder.put("retries", draw(st.integers(0, 1)))


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
            self.looked_well()
        self.process.fails = lambda: write == "refused"
        if write != "postponed":
            self.process.write(found.phase)
        self.process.fails = lambda: False

    @rule()
    def look_at_everything(self):
        """The usual look: nothing is late, nothing fails."""
        self.watch_everything()
        found = self.process.look()
        self.looked_well()
        self.process.write(found.phase)

    def looked_well(self):
        again = self.process.plan()
        # An upload is told to stop until it has: asking twice does no harm.
        left = [action for action in again.actions if not isinstance(action, AbortUpload)]
        assert not left, "planning again from the outcome adds something"
        assert dict(again.ledger) == self.process.ledger
        if not self.world.phase.final:
            self.nothing_runs_in_vain()

    def nothing_runs_in_vain(self):
        """After a look: nothing runs beyond its time, or beside a combination that has failed."""
        workflow, ledger = self.world.workflow, self.process.ledger
        for pod in self.process.cache.values():
            job = workflow.jobs[pod.job]
            if pod.terminal or pod.deleting or pod.main is None or not pod.main.running:
                continue
            late = (pod.main.started_at or 0) + (job.timeout_seconds or 1e9)
            assert late > self.world.now
            assert not job.base or not self.failed_beside(job)
        for name, record in ledger.items():
            job = workflow.jobs[name]
            if job.base and record.phase is JobPhase.PENDING:
                assert not self.failed_beside(job)

    def failed_beside(self, job):
        workflow = self.world.workflow
        matrix = workflow.matrices[job.base]
        return matrix.fail_fast and any(
            self.process.ledger[name].phase is JobPhase.FAILED
            and not workflow.jobs[name].continue_on_error
            for name in matrix.jobs
            if name != job.name
        )

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
            self.go_on(key, obey=False)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data())
    def fail(self, data):
        key = self.some_pod(data)
        if key not in self.world.silent:
            self.world.schedule(key)
            self.world.start(key)
            self.world.end_main(key, 1)

    @rule()
    def start_everything(self):
        for key in set(self.pods()) - self.world.silent:
            self.world.schedule(key)
            self.world.start(key)

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

    @rule(problem=st.sampled_from(["", "", "S3 is away"]))
    def storage(self, problem):
        self.world.storage_problem = problem

    @rule(really=st.integers(0, 14))
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

    def go_on(self, key, *, obey=True):
        if key in self.world.silent:
            return
        steps = [self.world.schedule, *([self.world.obey] if obey else []), self.world.start]
        for step in steps:
            if key in self.world.pods:
                step(key)
        if key in self.world.pods:
            self.world.end_main(key, 0)
        if key in self.world.pods:
            self.world.end_upload(key, 0)

    def alive(self):
        return [
            key
            for key, pod in self.world.pods.items()
            if not pod.terminal and not pod.deleting and key not in self.world.silent
        ]


class Sweep(Run):
    """The same for a matrix."""

    @initialize(workflow=sweeps(), infra_retries=st.integers(0, 1))
    def begin(self, workflow, infra_retries):
        self.world = World(workflow, Policy(infra_retries=infra_retries))
        self.process = Process(self.world, lambda: False)


Run.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, derandomize=True
)
Sweep.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
)
TestRun = Run.TestCase
TestSweep = Sweep.TestCase
