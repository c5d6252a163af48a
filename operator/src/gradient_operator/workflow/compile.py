"""Compiles a Gradient file: every reference resolved, every rule between fields checked.

The same function serves the command line, the condition `Accepted` and the start of a run, so that
one place decides what a valid file is. Pure; the values of a run's inputs come in as arguments.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

from gradient_operator.api.rules import MAX_EDGES, MAX_TOTAL_TEXT
from gradient_operator.api.run import RunInput
from gradient_operator.api.workflow import GradientFile, Job, Strategy
from gradient_operator.workflow import graph, manual, triggers
from gradient_operator.workflow.advice import advise
from gradient_operator.workflow.condition import condition
from gradient_operator.workflow.expansion import expand
from gradient_operator.workflow.job import compile_job
from gradient_operator.workflow.model import (
    CompiledJob,
    CompiledWorkflow,
    Matrix,
    OutputInput,
    Problem,
    Refused,
)
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Compilation, Event, event_of


@dataclass(frozen=True, slots=True)
class Compiled:
    """A valid workflow, and what its author should look at."""

    workflow: CompiledWorkflow
    warnings: tuple[Problem, ...]


def compile_file(
    file: GradientFile,
    *,
    given: Mapping[str, RunInput] | None = None,
    event: Event | None = None,
) -> Compiled:
    """Compile a file.

    `given` holds the values of the workflow's inputs; without it (None) the file is only checked,
    and inputs without a default are left open.

    Raises:
        Refused: the file is not valid, or a value is missing; with every reason.
    """
    own = file.inputs or {}
    file = manual.with_manual_inputs(file)
    state = Compilation(file=file, given=given, event=event or event_of(file))
    triggers.check(state, own=own)
    _check_given(state)
    _check_text(state)
    if not file.jobs:
        state.error(("jobs",), "has no job: a workflow needs at least one", "no-jobs")
    state.combinations = expand(state)
    needs = {name: _needs(state, name, job) for name, job in file.jobs.items()}
    made = {
        name: tuple(compile_job(state, each) for each in state.combinations[name])
        for name in file.jobs
    }
    # A source that is not among the needs becomes one: the job cannot start without it.
    all_needs = {name: _with_sources(state, name, made[name], needs) for name in file.jobs}
    jobs = _connected(state, made, all_needs)
    edges = sum(len(job.needs) for job in jobs.values())
    if edges > MAX_EDGES:
        text = f"name {edges} needs together, at most {MAX_EDGES} fit: put a job between them"
        state.error(("jobs",), text, "too-many-needs")
    cycle = graph.find_cycle(all_needs)
    if cycle:
        circle = " needs ".join([*cycle, cycle[0]])
        state.error(("jobs", cycle[0], "needs"), f"makes a circle: {circle}", "cycle")
    else:
        # One combination stands for all: what is surprising about it is so about each.
        advise(
            state,
            {
                name: replace(each[0], name=name, needs=all_needs[name])
                for name, each in made.items()
            },
        )
        _combinations_that_meet(state, made)
    # What is wrong with a workflow's input is noticed by every job that takes it: say it once.
    problems = dict.fromkeys(state.problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = tuple(problem for problem in problems if problem.severity == "warning")
    if errors:
        raise Refused((*errors, *warnings), state.hidden)
    # By the jobs of the file, so that the combinations of a matrix stay together.
    ordered = {each.name: jobs[each.name] for name in graph.order(all_needs) for each in made[name]}
    workflow = CompiledWorkflow(
        jobs=ordered,
        dependents=_dependents(ordered),
        matrices={
            name: _matrix(file.jobs[name], each) for name, each in made.items() if each[0].base
        },
    )
    return Compiled(workflow, warnings)


def _check_given(state: Compilation) -> None:
    known = list(state.file.inputs or {})
    for name in state.given or {}:
        if name not in known:
            hint = nearest(name, known, "the workflow has no inputs")
            text = f"is not an input of the workflow; {hint}"
            state.error(("inputs", name), text, "unknown-given")


def _check_text(state: Compilation) -> None:
    """Add up what the API server's rules look at apart."""
    count = sum(
        len(text)
        for job in state.file.jobs.values()
        for text in chain(
            (job.with_.script or "", *(job.with_.args or ())) if job.with_ is not None else (),
            (job.env or {}).values(),
        )
    )
    if count > MAX_TOTAL_TEXT:
        text = (
            f"have {count} characters of scripts, arguments and variables together, at most "
            f"{MAX_TOTAL_TEXT} fit: move code into an image or a repository"
        )
        state.error(("jobs",), text, "too-large")


def _needs(state: Compilation, name: str, job: Job) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for index, need in enumerate(job.needs or ()):
        path = ("jobs", name, "needs", index)
        if need == name:
            state.error(path, "is the job itself", "self-need")
        elif need not in state.file.jobs and state.full:
            state.hidden += 1
        elif need not in state.file.jobs:
            hint = nearest(need, state.file.jobs, "there is no other job")
            state.error(path, f"{need!r} is not a job; {hint}", "unknown-need")
        else:
            found[need] = None
    return tuple(found)


def _with_sources(
    state: Compilation,
    name: str,
    made: tuple[CompiledJob, ...],
    needs: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """The needs of a job of the file, and the sources of its inputs that are behind none of them.

    A job with an `if` may start although a need was never run: then its sources must be needs.
    """
    sources = {
        state.origins.get(item.job, item.job): item.name.partition("/")[0]
        for job in made
        for item in job.inputs
        if isinstance(item, OutputInput)
    }
    if not sources.keys() - set(needs[name]):
        return needs[name]
    job = state.file.jobs[name]
    known = set(needs[name]) if job.if_ is not None else graph.ancestors(needs, name)
    missing = tuple(source for source in sources if source not in known and source != name)
    # Where a need is misspelt, that was said, and is most likely what is missing.
    misspelt = any(need not in state.file.jobs for need in job.needs or ())
    for source in () if misspelt else missing:
        state.warn(
            ("jobs", name, "inputs", sources[source]),
            f"comes from {source!r}, which is not under needs: it is taken as a need",
            "missing-need",
        )
    return (*needs[name], *missing)


def _connected(
    state: Compilation,
    made: Mapping[str, tuple[CompiledJob, ...]],
    needs: Mapping[str, tuple[str, ...]],
) -> dict[str, CompiledJob]:
    """All jobs that are run, with their needs among these, and their conditions."""
    found: dict[str, CompiledJob] = {}
    for name, jobs in made.items():
        own = tuple(each.name for need in needs[name] for each in made[need])
        for job, combination in zip(jobs, state.combinations[name], strict=True):
            when = condition(state, combination, needs[name])
            found[job.name] = replace(job, needs=own, condition=when)
    return found


def _matrix(job: Job, made: tuple[CompiledJob, ...]) -> Matrix:
    strategy = job.strategy or Strategy()
    names = tuple(each.name for each in made)
    return Matrix(names, strategy.max_parallel, strategy.fail_fast)


def _combinations_that_meet(
    state: Compilation, made: Mapping[str, tuple[CompiledJob, ...]]
) -> None:
    """Warn of combinations that write one dataset."""
    for name, jobs in made.items():
        for output in jobs[0].outputs:
            found = [each.output(output.name) for each in jobs]
            counts = Counter(each.dataset.name for each in found if each and each.dataset)
            dataset, count = next(iter(counts.most_common(1)), ("", 0))
            if count > 1:
                state.warn(
                    ("jobs", name, "outputs", output.name),
                    f"goes to dataset {dataset!r} in {count} combinations: the last to end makes "
                    "the latest version. Put ${{ matrix.KEY }} into its name",
                    "two-writers",
                )


def _dependents(jobs: Mapping[str, CompiledJob]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for need in job.needs:
            found[need].append(name)
    return {name: tuple(names) for name, names in found.items()}
