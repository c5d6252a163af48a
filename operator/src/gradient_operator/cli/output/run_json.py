"""A run as JSON for scripts: the same facts as the tables, under names that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from gradient_operator.api.times import format_time
from gradient_operator.cli.output.run_view import JobView, OutputView, RunView
from gradient_operator.datasets.progress_log import Transfer


def run_summary(run: RunView, now: float) -> dict[str, Any]:
    """One run without its jobs; times are RFC 3339, durations seconds."""
    return {
        "name": run.name,
        "namespace": run.namespace,
        "workflow": run.workflow,
        "rerunOf": run.rerun_of,
        "archived": run.archived,
        "phase": run.phase,
        "progress": run.progress,
        "message": run.message,
        "createdAt": format_time(run.created_at),
        "startedAt": format_time(run.started_at),
        "finishedAt": format_time(run.finished_at),
        "seconds": _seconds(run.elapsed(now)),
    }


def run_details(
    run: RunView,
    *,
    models: Sequence[Mapping[str, Any]],
    now: float,
    moving: Mapping[str, Transfer] = MappingProxyType({}),
) -> dict[str, Any]:
    """One run with everything that `gradient show` says about it."""
    return {
        **run_summary(run, now),
        "jobs": [_job(job, now) for job in run.jobs],
        "transfers": {name: said.to_json() for name, said in moving.items()},
        "inputs": dict(run.inputs),
        "volumes": dict(run.volumes),
        "models": [{"name": model["metadata"]["name"], **model["spec"]} for model in models],
        "conditions": [dict(condition) for condition in run.conditions],
    }


def _job(job: JobView, now: float) -> dict[str, Any]:
    return {
        "name": job.name,
        "base": job.base,
        "matrix": dict(job.values),
        "needs": list(job.needs),
        "uses": job.action,
        "instanceType": job.instance_type,
        "phase": job.phase,
        "attempt": job.attempt,
        "memory": job.memory,
        "pod": job.pod,
        "node": job.node,
        "startedAt": format_time(job.started_at),
        "finishedAt": format_time(job.finished_at),
        "seconds": _seconds(job.elapsed(now)),
        "reason": job.reason,
        "message": job.message,
        "exitCode": job.exit_code,
        "source": job.source,
        "outputs": [_output(output) for output in job.outputs],
    }


def _output(output: OutputView) -> dict[str, Any]:
    return {key: value for key, value in asdict(output).items() if value not in (None, "")}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
