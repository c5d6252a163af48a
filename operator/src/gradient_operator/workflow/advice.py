"""What is valid and yet surprises people: noted as warnings, with what they probably meant."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from gradient_operator.workflow import graph
from gradient_operator.workflow.model import CompiledJob, DatasetInput
from gradient_operator.workflow.state import Compilation

_CONSIDERED: Final = 64
"""Writers and readers of one dataset that are looked at; a file with more has been warned."""

Slot = tuple[str, str]
"""A job and the name of its input or output."""


def advise(state: Compilation, jobs: Mapping[str, CompiledJob]) -> None:
    """Note what its author should look at; `jobs` have all their needs, without circles."""
    needs = {name: job.needs for name, job in jobs.items()}
    order = {name: place for place, name in enumerate(graph.order(needs))}
    writers: dict[str, list[Slot]] = {}
    readers: dict[str, list[Slot]] = {}
    for job in sorted(jobs.values(), key=lambda job: order[job.name]):
        for output in job.outputs:
            if output.dataset is not None:
                writers.setdefault(output.dataset.name, []).append((job.name, output.name))
        for item in job.inputs:
            if isinstance(item, DatasetInput) and not (
                item.reference.namespace or item.reference.version
            ):
                readers.setdefault(item.reference.name, []).append((job.name, item.name))
    for dataset, found in writers.items():
        _two_writers(state, needs, dataset, found[:_CONSIDERED])
        _old_version(state, needs, found[:_CONSIDERED], readers.get(dataset, [])[:_CONSIDERED])
    _without_effect(state)


def _two_writers(
    state: Compilation, needs: Mapping[str, Sequence[str]], dataset: str, writers: list[Slot]
) -> None:
    for (first, _), (second, output) in pairwise(writers):
        if first != second and first not in graph.ancestors(needs, second):
            state.warn(
                ("jobs", second, "outputs", output),
                f"goes to dataset {dataset!r}, as does an output of {first!r} at the same time: "
                "the last to end makes the latest version. Name two datasets, or add a need",
                "two-writers",
            )


def _old_version(
    state: Compilation,
    needs: Mapping[str, Sequence[str]],
    writers: list[Slot],
    readers: list[Slot],
) -> None:
    for reader, name in readers:
        before = graph.ancestors(needs, reader)
        made = next((slot for slot in reversed(writers) if slot[0] in before), None)
        path = ("jobs", reader, "inputs", name)
        if made is not None:
            state.warn(
                path,
                f"is read as it was before the run, though {made[0]!r} makes a new version: "
                f"to use that one write {made[0]}.outputs.{made[1]}",
                "old-version",
            )
            continue
        beside = [job for job, _ in writers if job != reader]
        unordered = next((job for job in beside if reader not in graph.ancestors(needs, job)), None)
        if unordered is not None:
            state.warn(
                path,
                f"is read as it was before the run, while {unordered!r} makes a new version at "
                f"the same time: need that job and take its output, or let it need {reader!r}",
                "old-version",
            )


def _without_effect(state: Compilation) -> None:
    timeouts: list[tuple[str, ...]] = [("timeout",)] if state.file.timeout is not None else []
    timeouts += [
        ("jobs", name, "timeout")
        for name, job in state.file.jobs.items()
        if job.timeout is not None
    ]
    for path in timeouts:
        state.warn(path, "has no effect: write timeout-minutes in the job", "no-effect")
