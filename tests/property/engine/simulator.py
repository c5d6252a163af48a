"""A model of the cluster around one run, and of the process that plans it.

`World` is the truth: the Pods, what was committed, the status as written. `Process` is the
operator: it sees the Pods only as the watch has brought them, and forgets all when it is killed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gradient_operator.api.workflow import Policy
from gradient_operator.engine import leftovers
from gradient_operator.engine.actions import (
    Action,
    CommitOutputs,
    CreatePod,
    DeletePod,
    Plan,
    ReadResult,
    RegisterModel,
)
from gradient_operator.engine.model import (
    ContainerRecord,
    FailureClass,
    JobPhase,
    JobRecord,
    Observation,
    OutputRecord,
    PodRecord,
    RunPhase,
    UploadResult,
    VolumeRecord,
)
from gradient_operator.engine.planner import plan
from gradient_operator.workflow.model import CompiledJob, CompiledWorkflow
from tests.builders import DIGEST, MACHINES, ended, make_pod, running

Key = tuple[str, int]


class Unanswered(Exception):
    """A request whose answer was lost, or that was refused; it may have taken effect or not."""


@dataclass
class World:
    """What is true, whoever knows it."""

    workflow: CompiledWorkflow
    policy: Policy
    now: float = 1_000.0
    version: int = 0
    pods: dict[Key, PodRecord] = field(default_factory=dict)
    silent: set[Key] = field(default_factory=set)
    created: list[Key] = field(default_factory=list)
    committed: set[str] = field(default_factory=set)
    models: dict[str, str] = field(default_factory=dict)
    status: dict[str, JobRecord] = field(default_factory=dict)
    phase: RunPhase = RunPhase.RUNNING
    lost_successes: set[str] = field(default_factory=set)
    """Jobs whose Pod vanished with its success: they may be run again, or not."""
    cancel: bool = False
    storage_problem: str = ""
    volumes: Mapping[str, VolumeRecord] = field(default_factory=dict)

    def set(self, key: Key, **changes: object) -> None:
        self.version += 1
        self.pods[key] = replace(self.pods[key], resource_version=str(self.version), **changes)
        pod = self.pods[key]
        kubelet_done = pod.terminal or not pod.node or key in self.silent
        if pod.deleting and not pod.held and kubelet_done:
            del self.pods[key]

    def create(self, job: str, attempt: int) -> PodRecord:
        """As the API server does it: a name exists once."""
        key = (job, attempt)
        if key not in self.pods:
            assert key not in self.created, f"attempt {key} is made a second time"
            own = self.workflow.jobs[job].retries
            retries = self.policy.retries if own is None else own
            assert attempt <= 1 + retries + self.policy.infra_retries
            self.created.append(key)
            self.version += 1
            uploads = any(output.type != "volume" for output in self.workflow.jobs[job].outputs)
            self.pods[key] = make_pod(
                job,
                attempt,
                node="",
                scheduled_at=None,
                main=None,
                created_at=self.now,
                resource_version=str(self.version),
                has_uploader=uploads,
            )
        return self.pods[key]

    def delete(self, key: Key, grace: int) -> None:
        pod = self.pods.get(key)
        if pod is None:
            return
        if not pod.deleting or grace < pod.deletion_grace:
            self.set(key, deletion_at=self.now + grace, deletion_grace=grace)

    def vanish(self, key: Key) -> None:
        """Somebody takes the finalizer off and deletes the Pod, whatever it holds."""
        if self.ended_well(self.pods[key]):
            self.lost_successes.add(key[0])
        del self.pods[key]

    # What a kubelet and the rest of the cluster do.

    def schedule(self, key: Key) -> None:
        if not self.pods[key].node and not self.pods[key].deleting:
            self.set(key, node="cpu-1", scheduled_at=self.now)

    def start(self, key: Key) -> None:
        pod = self.pods[key]
        if pod.node and pod.main is None and not pod.deleting and not pod.terminal:
            uploader = running(self.now) if pod.has_uploader else None
            self.set(key, phase="Running", main=running(self.now), uploader=uploader)

    def after(self, container: ContainerRecord, code: int) -> ContainerRecord:
        """A container that has ended now."""
        return replace(ended(code, at=self.now), started_at=container.started_at)

    def end_main(self, key: Key, code: int) -> None:
        pod = self.pods[key]
        if pod.terminal or pod.main is None or not pod.main.running:
            return
        main = self.after(pod.main, code)
        if pod.has_uploader:
            self.set(key, main=main)
        else:
            self.set(key, main=main, phase="Succeeded" if code == 0 else "Failed")

    def end_upload(self, key: Key, code: int) -> None:
        pod = self.pods[key]
        if pod.terminal or pod.uploader is None or not pod.uploader.running:
            return
        if not pod.main_ended:
            return
        # The phase follows main alone: it lies about a failed upload.
        phase = "Succeeded" if pod.main is not None and pod.main.exit_code == 0 else "Failed"
        self.set(key, uploader=ended(code, at=self.now), phase=phase)

    def obey(self, key: Key) -> None:
        """The kubelet ends a Pod that is being deleted; an upload is not shortened."""
        pod = self.pods[key]
        if not pod.deleting or pod.terminal or not pod.node or pod.main_ended:
            return
        uploader = ended(143, at=self.now) if pod.has_uploader else None
        main = self.after(pod.main, 143) if pod.main is not None else None
        self.set(key, phase="Failed", main=main, uploader=uploader)

    def evict(self, key: Key) -> None:
        if self.pods[key].node and not self.pods[key].terminal:
            self.set(key, phase="Failed", reason="Evicted", message="full")

    def lose_node(self, key: Key) -> None:
        if self.pods[key].node and not self.pods[key].terminal:
            gone = {"deletion_at": self.now, "deletion_grace": 0}
            self.set(key, phase="Failed", disruption="DeletionByPodGC", **gone)

    def fall_silent(self, key: Key) -> None:
        """The node is cut off: nothing is heard of its Pods; the taint manager deletes them."""
        if self.pods[key].node and not self.pods[key].terminal:
            self.silent.add(key)
            self.set(key, disruption="DeletionByTaintManager", deletion_at=self.now + 30)

    def result(self, pod: PodRecord) -> UploadResult | None:
        """What the uploader says in the end."""
        if pod.uploader is None or not pod.uploader.terminated:
            return None
        if pod.uploader.exit_code != 0:
            return UploadResult(error="it failed", unreadable=True)
        return UploadResult(outputs=self.outputs(pod.job))

    def outputs(self, job: str) -> dict[str, OutputRecord]:
        return {
            output.name: OutputRecord(digest=DIGEST)
            if output.type == "dataset"
            else OutputRecord(value="x")
            for output in self.workflow.jobs[job].outputs
        }

    def truly_succeeded(self, job: str) -> bool:
        """Whether an attempt ended well, its uploader after it, and its versions are visible."""
        record = self.status.get(job, JobRecord())
        if job in self.models or record.phase is JobPhase.SUCCEEDED:
            return True
        return any(self.ended_well(pod) for pod in self.pods.values() if pod.job == job)

    def ended_well(self, pod: PodRecord) -> bool:
        uploaded = pod.uploader is not None and pod.uploader.exit_code == 0
        return (
            pod.main is not None
            and pod.main.exit_code == 0
            and (uploaded or not pod.has_uploader)
            and (pod.uid in self.committed or not self.makes_dataset(pod.job))
        )

    def makes_dataset(self, job: str) -> bool:
        return any(output.type == "dataset" for output in self.workflow.jobs[job].outputs)


@dataclass
class Process:
    """One life of the operator, as `controllers.run` has it: plan, apply, write, release."""

    world: World
    fails: Callable[[], bool]
    cache: dict[Key, PodRecord] = field(init=False)
    ledger: dict[str, JobRecord] = field(init=False)
    committed: set[str] = field(default_factory=set)
    models: dict[str, str] = field(default_factory=dict)
    wake_at: float | None = None

    def __post_init__(self) -> None:
        self.cache = dict(self.world.pods)
        self.ledger = dict(self.world.status)

    def deliver(self, key: Key) -> None:
        """The watch catches up with one Pod."""
        pod = self.world.pods.get(key)
        if pod is None:
            self.cache.pop(key, None)
        else:
            self.cache[key] = pod

    def plan(self) -> Plan:
        world = self.world
        results = {pod.uid: world.result(pod) for pod in self.cache.values()}
        seen = Observation(
            workflow=world.workflow,
            policy=world.policy,
            ledger=self.ledger,
            pods=dict(self.cache),
            instance_types=MACHINES,
            results={uid: result for uid, result in results.items() if result is not None},
            committed=frozenset(self.committed),
            models=self.models,
            storage_problem=world.storage_problem,
            volumes=world.volumes,
            cancel=world.cancel,
        )
        found = plan(seen, world.now)
        lost = [job for job, each in found.failures if each.kind is FailureClass.LOST]
        stale = [
            key
            for job in lost
            if (key := (job, self.ledger[job].attempt)) in world.pods and key not in self.cache
        ]
        for key in stale:  # asked for by name before an attempt counts as lost
            self.deliver(key)
        return self.plan() if stale else found

    def look(self) -> Plan:
        """One look at the run; returns the last plan of it."""
        if self.world.phase.final:
            self.apply(tuple(leftovers.stop(self.cache.values())))
            self.release()
            return self.plan()
        for _ in range(16):
            found = self.plan()
            self.ledger = dict(found.ledger)
            self.wake_at = found.wake_at
            if not self.apply(found.actions):
                break
        return found

    def apply(self, actions: tuple[Action, ...]) -> bool:
        again = False
        for action in actions:
            try:
                again |= self.one(action)
            except Unanswered:
                continue
        return again

    def one(self, action: Action) -> bool:
        lost_before, lost_after = self.fails(), self.fails()
        if lost_before:
            raise Unanswered
        again = self.take_effect(action, answered=not lost_after)
        if lost_after:
            raise Unanswered
        return again

    def take_effect(self, action: Action, *, answered: bool) -> bool:
        """Do it; whether planning again would now see more."""
        world = self.world
        match action:
            case CreatePod(job, attempt):
                if (job, attempt) not in world.pods:
                    self.may_start(job)
                pod = world.create(job, attempt)
                if answered:
                    self.cache[job, attempt] = pod
            case RegisterModel(job):
                self.may_start(job)
                world.models[job] = job
                if answered:
                    self.models[job] = job
            case CommitOutputs(job, pod_uid, outputs):
                assert set(outputs) <= set(world.outputs(job))
                self.in_time(pod_uid)
                world.committed.add(pod_uid)
                if answered:
                    self.committed.add(pod_uid)
            case DeletePod():
                self.delete(action)
            case ReadResult():
                raise AssertionError("every result fits into its message here")
            case _:
                return False  # an abort is only a favour
        return True

    def delete(self, action: DeletePod) -> None:
        for key in [key for key, pod in self.cache.items() if pod.uid == action.uid]:
            self.world.delete(key, action.grace_seconds)
            self.deliver(key)

    def may_start(self, name: str) -> None:
        """No job starts before its needs have ended, and none again that has succeeded."""
        world, job = self.world, self.world.workflow.jobs[name]
        for need in job.needs:
            assert self.ledger[need].phase.final
            borne = world.workflow.jobs[need].continue_on_error
            assert (
                (job.condition is not None and job.condition.asks_status)
                or need in world.lost_successes
                or world.truly_succeeded(need)
                or (borne and self.ledger[need].phase is JobPhase.FAILED)
            )
        assert name in world.models or not world.truly_succeeded(name)
        if job.base:
            self.may_join(job)

    def may_join(self, job: CompiledJob) -> None:
        """No more combinations run than may, and none starts once another has failed."""
        matrix = self.world.workflow.matrices[job.base]
        others = [name for name in matrix.jobs if name != job.name]
        if matrix.max_parallel is not None and job.model is None:
            alive = {
                pod.job
                for pod in self.cache.values()
                if pod.job in others
                and not pod.terminal
                and not leftovers.superseded(pod, self.ledger[pod.job])
            }
            assert len(alive) < matrix.max_parallel
        assert not matrix.fail_fast or not any(
            self.ledger[name].phase is JobPhase.FAILED
            and not self.world.workflow.jobs[name].continue_on_error
            for name in others
        )

    def in_time(self, pod_uid: str) -> None:
        """Nothing of an attempt becomes visible that was stopped because it ran too long."""
        pod = next(pod for pod in self.cache.values() if pod.uid == pod_uid)
        seconds = self.world.workflow.jobs[pod.job].timeout_seconds
        assert pod.main is not None
        ran = (pod.main.finished_at or 0) - (pod.main.started_at or 0)
        assert not pod.deleting or seconds is None or ran < seconds

    def write(self, phase: RunPhase) -> None:
        """Write the status; then the Pods whose end it holds are released."""
        world = self.world
        if world.phase.final or self.fails():
            return
        for job, record in world.status.items():
            assert not record.phase.final or self.ledger[job].phase is record.phase
        world.status = dict(self.ledger)
        world.phase = phase
        self.release()

    def release(self) -> None:
        for key, pod in list(self.world.pods.items()):
            if pod.held and self.ended(pod):
                self.world.set(key, held=False)
                self.deliver(key)

    def ended(self, pod: PodRecord) -> bool:
        if self.world.phase.final:
            return True
        record = self.world.status[pod.job]
        if pod.attempt != record.attempt:
            return pod.attempt < record.attempt
        return record.phase.final or record.phase is JobPhase.PENDING
