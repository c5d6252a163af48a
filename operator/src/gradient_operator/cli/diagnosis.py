"""What a run waits for, or why it ended as it did: derived from its status and what was read.

Pure: nothing here asks the cluster, so that every answer can be tested from written-down objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from gradient_operator.api.names import GROUP
from gradient_operator.api.times import parse_time
from gradient_operator.cli.output.run_view import JobView, RunView
from gradient_operator.cli.output.text import FINAL, one_line
from gradient_operator.cli.why_facts import Facts, event_time
from gradient_operator.datasets.progress_log import Transfer
from gradient_operator.engine.scheduling import plain

_UNDER_WAY: Final = frozenset({"Running", "Uploading"})
_SAID_BY_ITSELF: Final = frozenset(
    {"Unschedulable", "GPUBusy", "ClaimUnbound", "VolumePinned", "NodeUnavailable"}
)
"""Reasons of the scheduler, whose sentence is worth taking apart."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that holds what this one waits for; `what` says how much of it."""

    run: str
    namespace: str
    what: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wait, of all jobs that have it alike."""

    reason: str
    message: str
    jobs: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    details: tuple[str, ...] = ()
    held_by: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A failure; `log` are the last lines that the job wrote."""

    reason: str
    message: str
    job: str = ""
    attempt: int = 0
    at: float | None = None
    exit_code: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The whole answer; `working` are jobs that run, `ended` jobs by the reason they did not."""

    run: RunView
    waits: tuple[Wait, ...] = ()
    working: tuple[JobView, ...] = ()
    causes: tuple[Cause, ...] = ()
    ended: Mapping[str, tuple[str, ...]]
    moving: Mapping[str, Transfer] = field(default_factory=dict)
    """How far jobs are that fetch or upload."""


def diagnose(
    run: RunView, facts: Facts, now: float, *, moving: Mapping[str, Transfer] = MappingProxyType({})
) -> Diagnosis:
    """Put the answer together; `now` in seconds since the epoch, `moving` are its transfers."""
    ended: dict[str, tuple[str, ...]] = {}
    for job in run.jobs:
        if job.phase in {"Omitted", "Skipped", "Cancelled"}:
            reason = job.reason or job.phase
            ended[reason] = (*ended.get(reason, ()), job.name)
    if run.final:
        return Diagnosis(run=run, causes=tuple(_causes(run, facts)), ended=ended)
    waits = _of_run(run, facts) or _of_jobs(run, facts, now)
    if run.deleting:
        text = "somebody has asked for its deletion, and it is still held"
        waits = (Wait(reason="Deleting", message=text), *waits)
    working = tuple(job for job in run.jobs if job.phase in _UNDER_WAY and not job.message)
    causes = tuple(_causes(run, facts))
    return Diagnosis(
        run=run, waits=waits, working=working, causes=causes, ended=ended, moving=moving
    )


def _of_run(run: RunView, facts: Facts) -> tuple[Wait, ...]:
    """What keeps the whole run from starting."""
    if not run.seen:
        text = "the operator has written nothing about it"
        return (Wait(reason="NotSeen", message=text, since=run.created_at),)
    if run.started_at is not None or not run.message:
        return ()
    condition = _succeeded(run)
    reason = str(condition.get("reason") or "Pending")
    holders = () if facts.holder is None else (_holder_run(facts.holder),)
    since = parse_time(condition.get("lastTransitionTime")) or run.created_at
    return (Wait(reason=reason, message=run.message, since=since, held_by=holders),)


def _succeeded(run: RunView) -> Mapping[str, Any]:
    return next((item for item in run.conditions if item.get("type") == "Succeeded"), {})


def _holder_run(run: Mapping[str, Any]) -> Holder:
    metadata, status = run["metadata"], run.get("status") or {}
    return Holder(
        metadata["name"],
        metadata.get("namespace", ""),
        f"{status.get('phase') or 'Pending'}, {status.get('progress') or '0'} jobs finished",
        parse_time(status.get("startedAt")),
    )


def _of_jobs(run: RunView, facts: Facts, now: float) -> tuple[Wait, ...]:
    """The waits of jobs, alike ones together; those of jobs behind others only if none is left."""
    found: dict[tuple[str, str], Wait] = {}
    for job in run.jobs:
        wait = _wait(job, facts, now)
        if wait is None:
            continue
        key = wait.reason, wait.message
        known = found.get(key)
        if known is None:
            found[key] = wait
        else:
            times = [each.since for each in (known, wait) if each.since is not None]
            found[key] = replace(
                known, jobs=(*known.jobs, job.name), since=min(times, default=None)
            )
    if not found and not any(job.phase in _UNDER_WAY for job in run.jobs):
        behind = tuple(job.name for job in run.jobs if job.phase == "Pending")
        if behind:
            text = "no job is ready: they wait for jobs that have not ended"
            return (Wait(reason="NeedsUnderWay", message=text, jobs=behind),)
    return tuple(found.values())


def _wait(job: JobView, facts: Facts, now: float) -> Wait | None:
    """What one job waits for; None: it works, has ended, or only waits for its needs."""
    if job.phase in FINAL or (job.phase == "Running" and job.reason != "Cancelling"):
        return None
    if job.phase == "Pending" and job.retry_at is not None and job.retry_at > now:
        text = one_line(job.message) or job.reason
        since = job.finished_at
        return Wait(
            reason="Retrying", message=text, jobs=(job.name,), since=since, until=job.retry_at
        )
    if not job.reason and job.phase != "Uploading":
        return None
    wait = Wait(
        reason=job.reason or "Uploading",
        message=job.message.strip() or "the job has ended, and its outputs are being uploaded",
        jobs=(job.name,),
        since=job.finished_at if job.phase == "Uploading" else job.ready_at,
    )
    pod = facts.pods.get(job.pod)
    if wait.reason == "QuotaExceeded":
        return replace(wait, held_by=_shares(facts.others))
    # An upload waits since the job ended, whatever was before.
    return wait if pod is None or job.phase == "Uploading" else _of_pod(wait, pod, facts)


def _of_pod(wait: Wait, pod: Mapping[str, Any], facts: Facts) -> Wait:
    """Add what the Pod's conditions and Events say."""
    conditions = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    since = parse_time(scheduled.get("lastTransitionTime")) or wait.since
    events = list(facts.events.get(pod["metadata"]["name"], ()))
    if wait.reason in _SAID_BY_ITSELF:
        details = plain(scheduled.get("message") or "")
        details += _of_claims(pod, facts)
        holders = _gpu_holders(pod, facts.others) if wait.reason == "GPUBusy" else ()
        return replace(
            wait, since=since, details=tuple(line for line in details if line), held_by=holders
        )
    wait = replace(wait, since=since)
    if wait.reason == "Starting":
        return _pulling(wait, events) or _warned(wait, events)
    return wait


def _of_claims(pod: Mapping[str, Any], facts: Facts) -> list[str]:
    """What the provisioner says of the claims that the Pod mounts."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        events = facts.events.get(claim or "", ())
        if claim and events:
            found.append(f"claim {claim}: {one_line(str(events[-1].get('message') or ''))}")
    return found


def _pulling(wait: Wait, events: Sequence[Mapping[str, Any]]) -> Wait | None:
    """An image is being pulled if the kubelet said so last."""
    said = [event for event in events if event.get("reason") in {"Pulling", "Pulled", "Failed"}]
    if not said or said[-1].get("reason") != "Pulling":
        return None
    return replace(
        wait,
        reason="ImagePulling",
        message=one_line(str(said[-1].get("message") or "")),
        since=parse_time(event_time(dict(said[-1]))) or wait.since,
    )


def _warned(wait: Wait, events: Sequence[Mapping[str, Any]]) -> Wait:
    said = [event for event in events if event.get("type") == "Warning"]
    details = (one_line(str(said[-1].get("message") or "")),) if said else ()
    return replace(wait, details=details)


def gpus(pod: Mapping[str, Any]) -> dict[str, int]:
    """The GPUs that a Pod asks for, by resource."""
    found: dict[str, int] = {}
    for container in pod["spec"].get("containers") or ():
        limits = (container.get("resources") or {}).get("limits") or {}
        for name, count in limits.items():
            if "gpu" in name.lower() and str(count).isdecimal():
                found[name] = found.get(name, 0) + int(count)
    return found


def _gpu_holders(pod: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> tuple[Holder, ...]:
    """The runs whose Pods hold GPUs of the kind, on the nodes that the Pod may use."""
    wanted, place = gpus(pod), pod["spec"].get("nodeSelector") or {}
    found = []
    for other in others:
        held = {name: count for name, count in gpus(other).items() if name in wanted}
        if not held or not other["spec"].get("nodeName"):
            continue
        if (other["spec"].get("nodeSelector") or {}) != place:
            continue
        metadata = other["metadata"]
        count = sum(held.values())
        job = metadata["annotations"].get(f"{GROUP}/job", "")
        found.append(
            Holder(
                metadata["annotations"][f"{GROUP}/run"],
                metadata.get("namespace", ""),
                f"job {job}, {count} GPU{'' if count == 1 else 's'} on {other['spec']['nodeName']}",
                parse_time((other.get("status") or {}).get("startTime")),
            )
        )
    return tuple(sorted(found, key=lambda holder: (holder.since or 0.0, holder.run)))


def _shares(others: Sequence[Mapping[str, Any]]) -> tuple[Holder, ...]:
    """The runs of the namespace by the Pods that they have, most first."""
    counts: dict[tuple[str, str], int] = {}
    for pod in others:
        metadata = pod["metadata"]
        run = metadata["annotations"][f"{GROUP}/run"], metadata.get("namespace", "")
        counts[run] = counts.get(run, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Holder(run, namespace, f"{count} Pod{'' if count == 1 else 's'}")
        for (run, namespace), count in ordered
    )


def _causes(run: RunView, facts: Facts) -> Iterator[Cause]:
    """What failed, in the order in which it did."""
    condition = _succeeded(run)
    if not run.failed and run.phase in {"Failed", "Cancelled"}:
        reason = str(condition.get("reason") or run.phase)
        yield Cause(reason=reason, message=run.message, at=run.finished_at)
    for place, job in enumerate(run.failed):
        first, *rest = job.message.strip().splitlines() or [job.reason]
        log = facts.log if place == 0 and facts.log else rest
        yield Cause(
            reason=job.reason,
            message=first,
            job=job.name,
            attempt=job.attempt,
            at=job.finished_at,
            exit_code=job.exit_code,
            log=tuple(log),
        )
