"""Which jobs of an earlier run a rerun takes over instead of running them again.

A job is taken over if it succeeded there, everything before it is taken over too, and no job that
runs again needs a volume of it that only a claim held: a run's claims go with their last user. What
a volume's copy in object storage holds can be taken over like a dataset version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from gradient_operator.engine.model import JobPhase, JobRecord, VolumeRecord
from gradient_operator.engine.needs import sources
from gradient_operator.engine.volumes import users
from gradient_operator.workflow.model import CompiledWorkflow

ADOPTED: Final = "Adopted"
"""The reason of a job that was taken over from an earlier run."""


def adopt(
    workflow: CompiledWorkflow,
    before: Mapping[str, JobRecord],
    *,
    run: str,
    volumes: Mapping[str, VolumeRecord],
    again: Iterable[str] = (),
) -> dict[str, JobRecord]:
    """The records of the jobs that are taken over.

    Args:
        workflow: the graph, that of both runs.
        before: how the jobs of the earlier run ended.
        run: the name of the earlier run.
        volumes: how the volumes of the new run are kept; one that is missing was not chosen yet.
        again: jobs that run again though they succeeded, as the file or the graph names them.
    """
    wanted = set(again)
    anew = {
        name
        for name, job in workflow.jobs.items()
        if name in wanted
        or job.base in wanted
        or before.get(name, JobRecord()).phase is not JobPhase.SUCCEEDED
    }
    held = {
        key: jobs
        for key, jobs in users(workflow).items()
        if not _kept(key, before, volumes.get(key))
    }
    while True:
        more = _behind(workflow, anew)
        for jobs in held.values():
            if anew.intersection(jobs):
                more.update(jobs)
        if more <= anew:
            break
        anew |= more
    return {name: _record(before[name], run, name) for name in workflow.jobs if name not in anew}


def unknown(workflow: CompiledWorkflow, names: Iterable[str]) -> list[str]:
    """The names that no job of the graph or of the file has."""
    known = {*workflow.jobs, *(job.base for job in workflow.jobs.values())}
    return [name for name in names if name not in known]


def _kept(key: str, before: Mapping[str, JobRecord], volume: VolumeRecord | None) -> bool:
    """Whether what the producer left in a volume lies in object storage, for the new run too."""
    job, _, output = key.partition(".")
    made = before.get(job, JobRecord()).outputs.get(output)
    copied = volume is not None and volume.mode == "Copy"
    return copied and made is not None and made.digest is not None


def _behind(workflow: CompiledWorkflow, anew: set[str]) -> set[str]:
    """The jobs that come directly after one that runs again."""
    return {
        name
        for name, job in workflow.jobs.items()
        if anew.intersection(job.needs) or anew.intersection(sources(job))
    }


def _record(record: JobRecord, run: str, job: str) -> JobRecord:
    source = record.source or f"{run}/{job}"
    return replace(
        JobRecord(),
        phase=JobPhase.SUCCEEDED,
        reason=ADOPTED,
        message=f"taken over from {source}: it did not run again",
        outputs=record.outputs,
        source=source,
        key=record.key,
    )
