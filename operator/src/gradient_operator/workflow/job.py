"""Compiles one job: its action, machine, variables, inputs and outputs, each checked."""

import re

from gradient_operator.api.workflow import GradientFile, Job
from gradient_operator.workflow import actions, expansion, slots
from gradient_operator.workflow.model import Action, CompiledJob, EnvVar, JobInput, StringInput
from gradient_operator.workflow.state import Combination, Compilation, env_var

MAX_STRING_BYTES = 196_608
"""All string inputs of a job: they travel in annotations, of which a Pod has 256 KiB."""
MAX_ARGUMENT_BYTES = 131_071
"""One argument, or one variable with its name: 32 pages of memory, less the byte at its end."""
_IN_A_FILE = "put it into a file, in a repository or a dataset"
_ENV_NAME = re.compile(r"^[-._A-Za-z][-._A-Za-z0-9]*\Z")
"""As every Kubernetes takes it; later ones are more lenient."""


def compile_job(state: Compilation, made: Combination) -> CompiledJob:
    """One job, or one combination of it; its needs and its condition are left open."""
    name, base, job = made.name, made.base, made.job
    if base == "workflow":
        state.error(("jobs", base), "is a reserved name: choose another", "reserved-name")
    for path in (("jobs", base), *(("jobs", base, "outputs", slot) for slot in job.outputs or ())):
        if "." in path[-1]:
            text = "has a dot, so that no reference can name it: use - or _ instead"
            state.error(path, text, "dotted-name")
    action = actions.infer(state, name, job)
    plain = CompiledJob(
        name=name,
        action=action or Action.CONTAINER,
        needs=(),
        instance_type=_instance_type(state, name, job),
        registries=_registries(state.file, job),
        env=_env(state, made),
        inputs=_inputs(state, made),
        outputs=slots.outputs(state, name, job),
        base=base if made.short else "",
        timeout_seconds=expansion.seconds(state, base, job.timeout_minutes),
        continue_on_error=expansion.truth(state, base, job.continue_on_error),
        retries=job.retries,
    )
    if action is None:
        return plain
    complete = actions.complete(state, plain, job)
    _check_arguments(state, complete)
    return complete


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


def _env(state: Compilation, made: Combination) -> tuple[EnvVar, ...]:
    """The values of the matrix, then the defaults' variables, then the job's own: the last wins."""
    defaults = (state.file.defaults and state.file.defaults.env) or {}
    own = made.job.env or {}
    for place, names in ((("defaults",), defaults), (("jobs", made.base), own)):
        for name in names:
            if not _ENV_NAME.match(name):
                text = "is no name for a variable: use letters, digits and _"
                state.error((*place, "env", name), text, "env-name")
    values = {
        expansion.env_name(key): EnvVar(expansion.env_name(key), value)
        for key, value in made.values.items()
    }
    named = {name: env_var(name, value) for name, value in {**defaults, **own}.items()}
    return tuple({**values, **named}.values())


def _inputs(state: Compilation, made: Combination) -> tuple[JobInput, ...]:
    found = slots.inputs(state, made)
    size = sum(len(item.value.encode()) for item in found if isinstance(item, StringInput))
    if size > MAX_STRING_BYTES:
        text = (
            f"hold strings of {size} bytes, at most {MAX_STRING_BYTES} fit: "
            "hand large text on as a dataset"
        )
        state.error(("jobs", made.base, "inputs"), text, "strings-too-large")
    return found
