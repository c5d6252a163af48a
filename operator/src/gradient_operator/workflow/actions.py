"""The actions: which parameters each takes, and what its job runs.

A parameter's text reaches the program exactly as written: what Kubernetes would expand in it
(`$(NAME)`, `$$`) is escaped by the pod builder.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gradient_operator.api import workflow as api
from gradient_operator.workflow.model import (
    Action,
    CompiledJob,
    CreateModel,
    DatasetInput,
    GitCheckout,
    JobInput,
    OutputInput,
    SharedVolumeInput,
)
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Compilation, env_var

_PARAMETERS: Final[dict[Action, frozenset[str]]] = {
    Action.CONTAINER: frozenset({"image", "args", "command"}),
    Action.SCRIPT: frozenset({"image", "script"}),
    Action.GIT_CHECKOUT: frozenset({"url", "ref", "username", "password", "path"}),
    Action.CREATE_MODEL: frozenset({"name", "type"}),
}
MODEL_TYPES: Final = ("Tensorflow", "ONNX", "Custom")
_NOT_YET: Final = {
    "s3-download@v1": "run an S3 client with container@v1 instead, as `aws s3 cp --recursive`"
}


def infer(state: Compilation, name: str, job: api.Job) -> Action | None:
    """The action of a job; without `uses` it follows from the parameters, as the docs show.

    None stands for one that is not known, which was noted as a problem.
    """
    if job.uses is None:
        parameters = job.with_ or api.ActionParameters()
        if parameters.script is not None:
            return Action.SCRIPT
        if parameters.image is None:
            known = ", ".join(Action)
            state.error(("jobs", name), f"has no action: add uses, one of {known}", "no-action")
            return None
        return Action.CONTAINER
    try:
        return Action(job.uses)
    except ValueError:
        hint = _NOT_YET.get(job.uses) or nearest(job.uses, [action.value for action in Action], "")
        message = f"{job.uses!r} is not an action; {hint}"
        state.error(("jobs", name, "uses"), message, "unknown-action")
        return None


def complete(state: Compilation, base: CompiledJob, job: api.Job) -> CompiledJob:
    """Add what the action runs to the job, and check its parameters."""
    parameters = job.with_ or api.ActionParameters()
    given = parameters.model_dump(by_alias=True, exclude_none=True)
    for key in sorted(given.keys() - _PARAMETERS[base.action]):
        allowed = ", ".join(sorted(_PARAMETERS[base.action]))
        message = f"is no parameter of {base.action}; it takes {allowed}"
        state.error(("jobs", base.name, "with", key), message, "unknown-parameter")
    return _COMPLETE[base.action](state, base, parameters)


def _container(state: Compilation, base: CompiledJob, given: api.ActionParameters) -> CompiledJob:
    command = given.command
    if isinstance(command, str):
        command = [command]
    return replace(
        base,
        image=_image(state, base, given),
        command=tuple(command) if command is not None else None,
        args=tuple(given.args) if given.args is not None else None,
    )


def _script(state: Compilation, base: CompiledJob, given: api.ActionParameters) -> CompiledJob:
    if given.script is None:
        _missing(state, base, "script")
    return replace(
        base,
        image=_image(state, base, given),
        command=("bash", "-c"),
        args=(given.script or "",),
    )


def _image(state: Compilation, base: CompiledJob, given: api.ActionParameters) -> str:
    if not given.image or not given.image.strip():
        _missing(state, base, "image")
        return ""
    image = given.image.strip()
    for scheme in ("https://", "http://"):
        image = image.removeprefix(scheme)
    return image


def _missing(state: Compilation, base: CompiledJob, key: str) -> None:
    path = ("jobs", base.name, "with")
    state.error(path, f"has no {key}: {base.action} needs one", "missing-parameter")


def _git_checkout(
    state: Compilation, base: CompiledJob, given: api.ActionParameters
) -> CompiledJob:
    url, ref = given.url, given.ref
    if not url:
        _missing(state, base, "url")
        return base
    if url == "context.event.github.url":
        url = _from_event(state, base, "url", state.event.url)
    if ref == "context.event.github.ref":
        ref = _from_event(state, base, "ref", state.event.ref)
    checkout = GitCheckout(
        url=url or "",
        ref=ref,
        username=env_var("GRADIENT_GIT_USERNAME", given.username) if given.username else None,
        password=env_var("GRADIENT_GIT_PASSWORD", given.password) if given.password else None,
        path=given.path or _target(state, base),
    )
    return replace(base, checkout=checkout)


def _from_event(state: Compilation, base: CompiledJob, key: str, value: str | None) -> str | None:
    if value is None and state.given is not None:
        state.error(
            ("jobs", base.name, "with", key),
            f"needs the push that started the run: write the {key} itself, or add "
            f"context.event.github.{key} to the file",
            "no-event",
        )
    return value


def _target(state: Compilation, base: CompiledJob) -> str:
    """The one directory to check out into: an output, or a legacy volume among the inputs."""
    places = [f"/outputs/{output.name}" for output in base.outputs if output.type != "string"]
    places = places or [
        f"/inputs/{item.name}" for item in base.inputs if isinstance(item, SharedVolumeInput)
    ]
    if len(places) != 1:
        state.error(
            ("jobs", base.name, "with"),
            f"has no path, and the job has {len(places)} outputs to choose from: add path",
            "no-path",
        )
        return "/outputs"
    return places[0]


def _create_model(
    state: Compilation, base: CompiledJob, given: api.ActionParameters
) -> CompiledJob:
    if not given.name:
        _missing(state, base, "name")
    if given.type not in MODEL_TYPES:
        known = ", ".join(MODEL_TYPES)
        state.error(("jobs", base.name, "with", "type"), f"must be one of {known}", "model-type")
    declared = state.file.jobs[base.name].inputs or {}
    model = next((item for item in base.inputs if item.name == "model"), None)
    # One that is declared and yet missing is left open until the run, or was complained of.
    if "model" not in declared or (model is not None and not _is_dataset(model)):
        state.error(("jobs", base.name, "inputs"), "must hold a dataset called model", "no-model")
    for output in base.outputs:
        if output.name != "model-id" or output.type != "string":
            place = ("jobs", base.name, "outputs", output.name)
            state.error(
                place, "is not made by create-model@v1: only string model-id is", "no-model"
            )
    return replace(base, model=CreateModel(given.name or "", given.type or "Custom"))


def _is_dataset(item: JobInput) -> bool:
    if isinstance(item, OutputInput):
        return item.type == "dataset"
    return isinstance(item, DatasetInput)


_Complete = Callable[[Compilation, CompiledJob, api.ActionParameters], CompiledJob]
_COMPLETE: Final[dict[Action, _Complete]] = {
    Action.CONTAINER: _container,
    Action.SCRIPT: _script,
    Action.GIT_CHECKOUT: _git_checkout,
    Action.CREATE_MODEL: _create_model,
}
