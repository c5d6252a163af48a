"""Builders of what tests are about: workflows, Pods as records, observations.

Each begins with something valid and ordinary, so that a test names only what matters to it.
"""

from dataclasses import dataclass, field
from typing import Any, Self

from gradient_operator.api.instance_type import Gpu, InstanceTypeSpec
from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import (
    ContainerRecord,
    JobPhase,
    JobRecord,
    Observation,
    PodRecord,
)
from gradient_operator.workflow.compile import Compiled, compile_file
from gradient_operator.workflow.model import CompiledWorkflow, Problem, Refused
from gradient_operator.workflow.validate import parse_file

MACHINES = {
    "C4": InstanceTypeSpec(name="C4", node_selector={"pool": "cpu"}, cpu="1", memory="2Gi"),
    "C5": InstanceTypeSpec(name="C5", node_selector={"pool": "cpu"}, cpu="2", memory="4Gi"),
    "P4000": InstanceTypeSpec(
        name="P4000", node_selector={"pool": "gpu"}, cpu="4", memory="8Gi", gpu=Gpu(count=1)
    ),
}
DIGEST = "ab" * 32


@dataclass
class WorkflowBuilder:
    """Makes a Gradient file job by job; what is said after `job` is about that job.

    A job is a script on a C4 unless it says otherwise.
    """

    top: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    current: str = ""

    def job(self, name: str, **fields: Any) -> Self:
        self.current = name
        base = {"uses": "script@v1", "with": {"image": "bash:5", "script": "true"}}
        self.jobs[name] = {"resources": {"instance-type": "C4"}, **base, **fields}
        return self

    def container(self, **parameters: Any) -> Self:
        return self.uses("container@v1", image="bash:5", **parameters)

    def uses(self, action: str | None, **parameters: Any) -> Self:
        job = self.jobs[self.current]
        job["with"] = parameters
        job.pop("uses", None)
        if action is not None:
            job["uses"] = action
        return self

    def needs(self, *jobs: str) -> Self:
        return self.put("needs", list(jobs))

    def on(self, machine: str) -> Self:
        return self.put("resources", {"instance-type": machine})

    def env(self, **values: Any) -> Self:
        return self.put("env", values)

    def put(self, key: str, value: Any) -> Self:
        self.jobs[self.current][key] = value
        return self

    def without(self, key: str) -> Self:
        self.jobs[self.current].pop(key, None)
        return self

    def takes(self, name: str, source: Any) -> Self:
        self.jobs[self.current].setdefault("inputs", {})[name] = source
        return self

    def makes(self, name: str, kind: str, ref: str | None = None) -> Self:
        output: dict[str, Any] = {"type": kind}
        if ref is not None:
            output["with"] = {"ref": ref}
        self.jobs[self.current].setdefault("outputs", {})[name] = output
        return self

    def data(self) -> dict[str, Any]:
        return {**self.top, "jobs": self.jobs}

    def check(self, **how: Any) -> Compiled:
        return compile_file(parse_file(self.data()), **how)

    def compile(self, **how: Any) -> CompiledWorkflow:
        return self.check(**how).workflow

    def problems(self, **how: Any) -> list[Problem]:
        """Why the file is refused, and its warnings; only the warnings of a valid one."""
        try:
            return list(self.check(**how).warnings)
        except Refused as refused:
            return list(refused.problems)


def make_workflow(**top: Any) -> WorkflowBuilder:
    """A file without jobs; `top` are further keys of it."""
    return WorkflowBuilder(top=top)


def diamond() -> CompiledWorkflow:
    """`a`, then `b` and `c`, then `d`."""
    builder = make_workflow().job("a").job("b").needs("a").job("c").needs("a")
    return builder.job("d").needs("b", "c").compile()


def waiting(reason: str = "PodInitializing", message: str = "") -> ContainerRecord:
    """A container that has not started."""
    return ContainerRecord(waiting_reason=reason, waiting_message=message)


def running(since: float = 10.0) -> ContainerRecord:
    """A container that runs."""
    return ContainerRecord(started_at=since)


def ended(
    code: int = 0, *, at: float = 100.0, reason: str = "", message: str = ""
) -> ContainerRecord:
    """A container that has ended."""
    said = reason or ("Completed" if code == 0 else "Error")
    return ContainerRecord(
        started_at=10.0, finished_at=at, exit_code=code, reason=said, message=message
    )


def make_pod(job: str = "a", attempt: int = 1, **changes: Any) -> PodRecord:
    """The Pod of an attempt: on a node, its main not started yet."""
    defaults: dict[str, Any] = {
        "uid": f"uid-{job}-{attempt}",
        "namespace": "ns",
        "name": f"w-{job}-{attempt}-hash",
        "resource_version": "1",
        "run_uid": "run-uid",
        "run": "run",
        "node": "cpu-1",
        "created_at": 1.0,
        "scheduled_at": 2.0,
        "held": True,
        "main": waiting(),
    }
    return PodRecord(**{**defaults, "job": job, "attempt": attempt, **changes})


def succeeded_pod(job: str = "a", attempt: int = 1, **changes: Any) -> PodRecord:
    """The Pod of a plain job that ended well."""
    return make_pod(job, attempt, **{"phase": "Succeeded", "main": ended(0), **changes})


def failed_pod(job: str = "a", attempt: int = 1, *, code: int = 1, **changes: Any) -> PodRecord:
    """The Pod of a plain job whose main failed."""
    return make_pod(job, attempt, **{"phase": "Failed", "main": ended(code), **changes})


def make_observation(workflow: CompiledWorkflow, *pods: PodRecord, **changes: Any) -> Observation:
    """A run with an empty ledger and these Pods."""
    return Observation(
        **{
            "workflow": workflow,
            "policy": Policy(),
            "ledger": {},
            "pods": {(pod.job, pod.attempt): pod for pod in pods},
            "instance_types": MACHINES,
            **changes,
        }
    )


def done_job(**changes: Any) -> JobRecord:
    """A job that has succeeded."""
    return JobRecord(**{"phase": JobPhase.SUCCEEDED, "attempt": 1, **changes})
