"""Inputs and outputs of a job: each spelling of the format becomes one resolved form."""

from dataclasses import replace
from typing import Literal

from gradient_operator.api import workflow as api
from gradient_operator.workflow.model import (
    DatasetInput,
    JobInput,
    JobOutput,
    OutputInput,
    SharedVolumeInput,
    StringInput,
)
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.references import (
    DatasetReference,
    ReferenceProblem,
    WorkflowInputReference,
    parse_dataset,
    parse_slot,
)
from gradient_operator.workflow.state import Combination, Compilation

Path = tuple[str | int, ...]


def inputs(state: Compilation, made: Combination) -> tuple[JobInput, ...]:
    """The inputs of a job; those that cannot be resolved are left out and noted as problems.

    What the combinations of a matrix make comes as one input each, called `input/combination`.
    """
    found: list[JobInput] = []
    for slot, value in (made.job.inputs or {}).items():
        if state.full:
            break
        path = ("jobs", made.base, "inputs", slot)
        if isinstance(value, api.JobInput):
            resolved = _declared(state, path, slot, value)
        else:
            resolved = _referenced(state, path, slot, value)
        if isinstance(resolved, OutputInput):
            found += _fanned_in(state, resolved)
        elif resolved is not None:
            found.append(resolved)
    return tuple(found)


def _fanned_in(state: Compilation, item: OutputInput) -> list[OutputInput]:
    return [
        replace(item, name=f"{item.name}/{each.short}", job=each.name) if each.short else item
        for each in state.combinations[item.job]
    ]


def outputs(state: Compilation, name: str, job: api.Job) -> tuple[JobOutput, ...]:
    """The outputs of a job; a dataset needs a reference to where it goes."""
    found: list[JobOutput] = []
    for slot, value in (job.outputs or {}).items():
        path = ("jobs", name, "outputs", slot)
        if value.type != "dataset":
            found.append(JobOutput(slot, value.type))
            continue
        dataset = _dataset(state, path, value.with_)
        if dataset is None:
            continue
        if dataset.version is not None:
            text = f"names a version, but a run makes a new one: write {dataset.name!r}"
            state.warn((*path, "with", "ref"), text, "output-version")
        if dataset.namespace is not None:
            text = f"names another namespace, but a run writes into its own: write {dataset.name!r}"
            state.warn((*path, "with", "ref"), text, "output-namespace")
        found.append(JobOutput(slot, "dataset", DatasetReference(dataset.name)))
    return tuple(found)


def _declared(state: Compilation, path: Path, slot: str, value: api.JobInput) -> JobInput | None:
    if value.type == "dataset":
        dataset = _dataset(state, path, value.with_)
        return DatasetInput(slot, dataset) if dataset is not None else None
    if value.type == "volume":
        return SharedVolumeInput(slot)
    if value.with_ is None or value.with_.value is None:
        state.error(path, "is a string without with.value", "no-value")
        return None
    return StringInput(slot, value.with_.value)


def _dataset(
    state: Compilation, path: Path, source: api.SlotSource | None
) -> DatasetReference | None:
    text = (source.ref or source.id) if source else None
    if not text:
        state.error(path, "is a dataset without with.ref: say which one", "no-ref")
        return None
    try:
        return parse_dataset(text.strip())
    except ReferenceProblem as problem:
        state.error((*path, "with", "ref"), str(problem), "bad-reference")
        return None


def _referenced(state: Compilation, path: Path, slot: str, text: str) -> JobInput | None:
    try:
        reference = parse_slot(text.strip())
    except ReferenceProblem as problem:
        state.error(path, str(problem), "bad-reference")
        return None
    if isinstance(reference, WorkflowInputReference):
        return _workflow_input(state, path, slot, reference.input)
    if reference.job == path[1]:
        text = "comes from the job itself: name the job that makes it"
        state.error(path, text, "self-input")
        return None
    source = state.file.jobs.get(reference.job)
    if source is None:
        hint = nearest(reference.job, state.file.jobs, "there is no other job")
        state.error(path, f"{reference.job!r} is not a job; {hint}", "unknown-job")
        return None
    known = source.outputs or {}
    if reference.output not in known:
        hint = nearest(reference.output, known, "it has none")
        message = f"{reference.output!r} is not an output of {reference.job!r}; {hint}"
        state.error(path, message, "unknown-output")
        return None
    kind: Literal["dataset", "string", "volume"] = known[reference.output].type
    return OutputInput(slot, kind, reference.job, reference.output)


def _workflow_input(state: Compilation, path: Path, slot: str, name: str) -> JobInput | None:
    known = state.file.inputs or {}
    if name not in known:
        hint = nearest(name, known, "the workflow has none")
        state.error(path, f"{name!r} is not an input of the workflow; {hint}", "unknown-input")
        return None
    declared = known[name]
    if declared.type == "string":
        value = text_of_input(state, name)
        return StringInput(slot, value) if value is not None else None
    given = (state.given or {}).get(name)
    source = declared.with_ if given is None else api.SlotSource(**given.model_dump())
    if declared.type != "dataset":
        message = f"is of type {declared.type!r}; a workflow takes datasets and strings"
        state.error(("inputs", name, "type"), message, "input-type")
        return None
    if source is None and (declared.optional or state.given is None):
        return None
    if source is None:
        _missing(state, name, "ref")
        return None
    dataset = _dataset(state, ("inputs", name), source)
    return DatasetInput(slot, dataset, declared.optional) if dataset is not None else None


def text_of_input(state: Compilation, name: str) -> str | None:
    """The value of a workflow-level input of type string; None: it is missing, which was noted."""
    declared = (state.file.inputs or {})[name]
    given = (state.given or {}).get(name)
    source = given or declared.with_
    if source is not None and source.value is not None:
        return source.value
    if state.given is not None and not declared.optional:
        _missing(state, name, "value")
        return None
    return ""


def _missing(state: Compilation, name: str, key: str) -> None:
    state.error(
        ("inputs", name),
        f"has no default and no value was given: start the run with --input {name}={key.upper()}",
        "missing-input",
    )
