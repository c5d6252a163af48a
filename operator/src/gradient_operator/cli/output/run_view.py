"""A run as the commands show it, read from the object's plain data.

It reads leniently, never through the strict models: an older command line must still show the runs
of a newer operator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gradient_operator.api.times import parse_time
from gradient_operator.cli.output.combinations import Shown, shown_jobs
from gradient_operator.workflow import graph

_OUTPUT_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class OutputView:
    """What a job handed on."""

    name: str
    type: str = ""
    dataset: str = ""
    version: str = ""
    bytes: int | None = None
    files: int | None = None
    value: str | None = None
    ref: str = ""


@dataclass(frozen=True, slots=True)
class JobView:
    """One job: its definition's needs and machine, and where it stands. Times are epoch seconds.

    `needs` are names of the file: for a job with a matrix its own name.
    """

    name: str
    needs: tuple[str, ...] = ()
    action: str = ""
    instance_type: str = ""
    base: str = ""
    """The job of the file whose combination of a matrix it is."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Those of the matrix."""
    phase: str = "Pending"
    attempt: int = 0
    attempts: int = 0
    """How many attempts there may be as things stand; 0: the job is not tried again."""
    memory: str = ""
    """What the attempt has, where it is more than its machine's."""
    pod: str = ""
    node: str = ""
    ready_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    retry_at: float | None = None
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    outputs: tuple[OutputView, ...] = ()
    source: str = ""
    """RUN/JOB that made the outputs, where the job itself did not run."""

    def elapsed(self, now: float) -> float | None:
        """Seconds since it started, or that it took."""
        if self.started_at is None:
            return None
        return (self.finished_at or now) - self.started_at


@dataclass(frozen=True, slots=True)
class RunView:
    """One run, its jobs in an order in which each stands after its needs."""

    name: str
    namespace: str
    workflow: str = ""
    phase: str = "Pending"
    progress: str = ""
    message: str = ""
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cancelling: bool = False
    archived: bool = False
    """Whether the cluster has forgotten it: this is what the archive has."""
    rerun_of: str = ""
    """The earlier run that this one does again."""
    deleting: bool = False
    """Whether somebody has asked for its deletion."""
    seen: bool = False
    """Whether the operator has written any status."""
    conditions: tuple[Mapping[str, Any], ...] = ()
    jobs: tuple[JobView, ...] = ()
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether the run never changes again."""
        return self.phase in {"Succeeded", "Failed", "Cancelled"}

    @property
    def failed(self) -> tuple[JobView, ...]:
        """The jobs that failed, in the order in which they did."""
        failed = (job for job in self.jobs if job.phase == "Failed")
        return tuple(sorted(failed, key=lambda job: (job.finished_at or float("inf"), job.name)))

    def elapsed(self, now: float) -> float | None:
        """Seconds since it started, or that it took."""
        if self.started_at is None:
            return None
        return (self.finished_at or now) - self.started_at


def run_view(run: Mapping[str, Any]) -> RunView:
    """Read a `GradientRun` as the API server returns it."""
    metadata, spec, status = run["metadata"], run.get("spec") or {}, run.get("status") or {}
    return RunView(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        workflow=spec.get("workflow") or "",
        phase=status.get("phase") or "Pending",
        progress=status.get("progress") or "",
        message=status.get("message") or "",
        created_at=parse_time(metadata.get("creationTimestamp")),
        started_at=parse_time(status.get("startedAt")),
        finished_at=parse_time(status.get("finishedAt")),
        cancelling=bool(spec.get("cancel")),
        archived=bool(run.get("archived")),
        rerun_of=(spec.get("rerunOf") or {}).get("name") or "",
        deleting="deletionTimestamp" in metadata,
        seen=bool(status),
        conditions=tuple(status.get("conditions") or ()),
        jobs=_jobs(
            spec.get("definition") or {},
            status.get("jobs") or {},
            retries=(spec.get("policy") or {}).get("retries") or 0,
        ),
        inputs=status.get("inputs") or {},
        volumes=status.get("volumes") or {},
    )


def _jobs(
    definition: Mapping[str, Any], states: Mapping[str, Any], *, retries: int
) -> tuple[JobView, ...]:
    jobs = {name: job or {} for name, job in (definition.get("jobs") or {}).items()}
    needs = {name: _needs(job, jobs) for name, job in jobs.items()}
    default = (definition.get("defaults") or {}).get("resources") or {}
    made = shown_jobs(definition)
    of: dict[str, list[str]] = {}
    for name, shown in made.items():
        of.setdefault(shown.base or name, []).append(name)
    # Jobs of a circle never run, yet they must be seen; so must states that have no definition.
    ordered = [name for base in (*graph.order(needs), *jobs) for name in of.get(base, ())]
    none = Shown({})
    return tuple(
        _job(
            name,
            made.get(name, none),
            needs.get(made.get(name, none).base or name, ()),
            states.get(name) or {},
            default,
            retries=retries,
        )
        for name in dict.fromkeys((*ordered, *states))
    )


def _needs(job: Mapping[str, Any], jobs: Mapping[str, Any]) -> tuple[str, ...]:
    """The needs, and the sources of inputs, which count as needs too."""
    found = dict.fromkeys(need for need in job.get("needs") or () if need in jobs)
    for source in (job.get("inputs") or {}).values():
        parts = source.split(".") if isinstance(source, str) else []
        if len(parts) == _OUTPUT_PARTS and parts[1] == "outputs" and parts[0] in jobs:
            found[parts[0]] = None
    return tuple(found)


def _job(
    name: str,
    shown: Shown,
    needs: tuple[str, ...],
    state: Mapping[str, Any],
    default: Mapping[str, Any],
    *,
    retries: int,
) -> JobView:
    job = shown.job
    resources = job.get("resources") or {}
    allowed = job.get("retries", retries)
    return JobView(
        name=name,
        needs=needs,
        action=job.get("uses") or "",
        instance_type=resources.get("instance-type") or default.get("instance-type") or "",
        base=shown.base,
        values=shown.values or {},
        phase=state.get("phase") or "Pending",
        attempt=state.get("attempt") or 0,
        attempts=1 + allowed + _free(state) if allowed else 0,
        memory=state.get("memory") or "",
        pod=state.get("pod") or "",
        node=state.get("node") or "",
        ready_at=parse_time(state.get("readyAt")),
        started_at=parse_time(state.get("startedAt")),
        finished_at=parse_time(state.get("finishedAt")),
        retry_at=parse_time(state.get("retryAt")),
        reason=state.get("reason") or "",
        message=state.get("message") or "",
        exit_code=state.get("exitCode"),
        outputs=_outputs(job.get("outputs") or {}, state.get("outputs") or {}),
        source=state.get("source") or "",
    )


def _free(state: Mapping[str, Any]) -> int:
    """Attempts that did not count against the job's `retries`."""
    return (state.get("infraFailures") or 0) + (state.get("memoryFailures") or 0)


def _outputs(declared: Mapping[str, Any], made: Mapping[str, Any]) -> tuple[OutputView, ...]:
    found = []
    for name, output in made.items():
        declaration = declared.get(name) or {}
        source = declaration.get("with") or {}
        named = (source.get("ref") or source.get("id") or "").partition(":")[0]
        dataset, _, version = (output.get("version") or "").rpartition(":")
        found.append(
            OutputView(
                name=name,
                type=declaration.get("type") or "",
                dataset=dataset or named,
                version=version,
                bytes=output.get("bytes"),
                files=output.get("files"),
                value=output.get("value"),
                ref=output.get("ref") or "",
            )
        )
    return tuple(found)
