"""Compiles a Gradient file: every reference resolved, every rule between fields checked.

The same function serves the command line, the condition `Accepted` and the start of a run, so that
one place decides what a valid file is. Pure; the values of a run's inputs come in as arguments.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gradient_operator.api.run import RunInput
from gradient_operator.api.workflow import GradientFile, Job
from gradient_operator.workflow import actions, graph, manual, slots, triggers
from gradient_operator.workflow.advice import advise
from gradient_operator.workflow.model import (
    Action,
    CompiledJob,
    CompiledWorkflow,
    EnvVar,
    JobInput,
    OutputInput,
    Problem,
    Refused,
    StringInput,
)
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Compilation, Event, env_var, event_of

MAX_EDGES = 20_000
"""Needs in all jobs together; bounds the work of a plan."""
MAX_STRING_BYTES = 196_608
"""All string inputs of a job: they travel in annotations, of which a Pod has 256 KiB."""
MAX_ARGUMENT_BYTES = 131_071
"""One argument, or one variable with its name: 32 pages of memory, less the byte at its end."""
_IN_A_FILE = "put it into a file, in a repository or a dataset"
_ENV_NAME = re.compile(r"^[-._A-Za-z][-._A-Za-z0-9]*\Z")
"""As every Kubernetes takes it; later ones are more lenient."""


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
    if not file.jobs:
        state.error(("jobs",), "has no job: a workflow needs at least one", "no-jobs")
    needs = {name: _needs(state, name, job) for name, job in file.jobs.items()}
    jobs = {name: _job(state, name, needs[name]) for name in file.jobs}
    # A source that is not among the needs becomes one: the job cannot start without it.
    jobs = {name: _with_implicit_needs(state, job, needs) for name, job in jobs.items()}
    all_needs = {name: job.needs for name, job in jobs.items()}
    edges = sum(map(len, all_needs.values()))
    if edges > MAX_EDGES:
        text = f"name {edges} needs together, at most {MAX_EDGES} fit: put a job between them"
        state.error(("jobs",), text, "too-many-needs")
    cycle = graph.find_cycle(all_needs)
    if cycle:
        circle = " needs ".join([*cycle, cycle[0]])
        state.error(("jobs", cycle[0], "needs"), f"makes a circle: {circle}", "cycle")
    else:
        advise(state, jobs)
    # What is wrong with a workflow's input is noticed by every job that takes it: say it once.
    problems = dict.fromkeys(state.problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    warnings = tuple(problem for problem in problems if problem.severity == "warning")
    if errors:
        raise Refused((*errors, *warnings))
    ordered = {name: jobs[name] for name in graph.order(all_needs)}
    return Compiled(CompiledWorkflow(jobs=ordered, dependents=_dependents(ordered)), warnings)


def _check_given(state: Compilation) -> None:
    known = list(state.file.inputs or {})
    for name in state.given or {}:
        if name not in known:
            hint = nearest(name, known, "the workflow has no inputs")
            text = f"is not an input of the workflow; {hint}"
            state.error(("inputs", name), text, "unknown-given")


def _needs(state: Compilation, name: str, job: Job) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for index, need in enumerate(job.needs or ()):
        path = ("jobs", name, "needs", index)
        if need == name:
            state.error(path, "is the job itself", "self-need")
        elif need not in state.file.jobs:
            hint = nearest(need, state.file.jobs, "there is no other job")
            state.error(path, f"{need!r} is not a job; {hint}", "unknown-need")
        else:
            found[need] = None
    return tuple(found)


def _job(state: Compilation, name: str, needs: tuple[str, ...]) -> CompiledJob:
    job = state.file.jobs[name]
    if name == "workflow":
        state.error(("jobs", name), "is a reserved name: choose another", "reserved-name")
    for path in (("jobs", name), *(("jobs", name, "outputs", slot) for slot in job.outputs or ())):
        if "." in path[-1]:
            text = "has a dot, so that no reference can name it: use - or _ instead"
            state.error(path, text, "dotted-name")
    _check_coming(state, name, job)
    action = actions.infer(state, name, job)
    base = CompiledJob(
        name=name,
        action=action or Action.CONTAINER,
        needs=needs,
        instance_type=_instance_type(state, name, job),
        registries=_registries(state.file, job),
        env=_env(state, name, job),
        inputs=_inputs(state, name, job),
        outputs=slots.outputs(state, name, job),
    )
    if action is None:
        return base
    complete = actions.complete(state, base, job)
    _check_arguments(state, complete)
    return complete


_COMING = ("if_", "strategy", "timeout_minutes", "continue_on_error", "retries")


def _check_coming(state: Compilation, name: str, job: Job) -> None:
    """Keys whose meaning is on its way: until it is there they are refused, not ignored."""
    for field in _COMING:
        key = Job.model_fields[field].alias or field
        if field in job.model_fields_set:
            state.error(("jobs", name, key), "has no effect yet: leave it out", "not-yet")


def _check_arguments(state: Compilation, job: CompiledJob) -> None:
    """Linux refuses a program with a longer argument or variable, in words nobody understands."""
    for text in (*(job.command or ()), *(job.args or ())):
        size = len(text.encode())
        if size > MAX_ARGUMENT_BYTES:
            what = "the script" if job.action is Action.SCRIPT else "an argument"
            message = f"{what} is {size} bytes long, Linux takes {MAX_ARGUMENT_BYTES}: {_IN_A_FILE}"
            state.error(("jobs", job.name, "with"), message, "text-too-long")
    for variable in job.env:
        size = len(f"{variable.name}={variable.value}".encode())
        if size > MAX_ARGUMENT_BYTES:
            message = f"is {size} bytes long, Linux takes {MAX_ARGUMENT_BYTES}: {_IN_A_FILE}"
            state.error(("jobs", job.name, "env", variable.name), message, "text-too-long")


def _instance_type(state: Compilation, name: str, job: Job) -> str:
    defaults = state.file.defaults.resources if state.file.defaults else None
    for resources in (job.resources, defaults):
        if resources is not None and resources.instance_type:
            return resources.instance_type
    if job.uses != "create-model@v1":
        state.error(
            ("jobs", name),
            "names no machine: add resources.instance-type, here or under defaults",
            "no-instance-type",
        )
    return ""


def _registries(file: GradientFile, job: Job) -> tuple[str, ...]:
    defaults = file.defaults.resources if file.defaults else None
    for resources in (job.resources, defaults):
        if resources is not None and resources.container_registries is not None:
            return tuple(resources.container_registries)
    return ()


def _env(state: Compilation, job_name: str, job: Job) -> tuple[EnvVar, ...]:
    """The defaults' variables, then the job's own, which win over defaults of the same name."""
    defaults = (state.file.defaults and state.file.defaults.env) or {}
    own = job.env or {}
    for place, names in ((("defaults",), defaults), (("jobs", job_name), own)):
        for name in names:
            if not _ENV_NAME.match(name):
                text = "is no name for a variable: use letters, digits and _"
                state.error((*place, "env", name), text, "env-name")
    return tuple(env_var(name, value) for name, value in {**defaults, **own}.items())


def _inputs(state: Compilation, name: str, job: Job) -> tuple[JobInput, ...]:
    found = slots.inputs(state, name, job)
    size = sum(len(item.value.encode()) for item in found if isinstance(item, StringInput))
    if size > MAX_STRING_BYTES:
        text = (
            f"hold strings of {size} bytes, at most {MAX_STRING_BYTES} fit: "
            "hand large text on as a dataset"
        )
        state.error(("jobs", name, "inputs"), text, "strings-too-large")
    return found


def _with_implicit_needs(
    state: Compilation, job: CompiledJob, needs: Mapping[str, tuple[str, ...]]
) -> CompiledJob:
    sources = {item.job: item for item in job.inputs if isinstance(item, OutputInput)}
    if not sources.keys() - set(job.needs):
        return job
    known = graph.ancestors(needs, job.name)
    missing = tuple(source for source in sources if source not in known and source != job.name)
    # Where a need is misspelt, that was said, and is most likely what is missing.
    misspelt = any(need not in state.file.jobs for need in state.file.jobs[job.name].needs or ())
    for source in () if misspelt else missing:
        state.warn(
            ("jobs", job.name, "inputs", sources[source].name),
            f"comes from {source!r}, which is not under needs: it is taken as a need",
            "missing-need",
        )
    return replace(job, needs=(*job.needs, *missing))


def _dependents(jobs: Mapping[str, CompiledJob]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for need in job.needs:
            found[need].append(name)
    return {name: tuple(names) for name, names in found.items()}
