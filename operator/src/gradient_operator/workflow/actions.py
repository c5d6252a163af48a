"""The actions: which parameters each takes, and what its job runs.

A parameter's text reaches the program exactly as written: what Kubernetes would expand in it
(`$(NAME)`, `$$`) is escaped by the pod builder.
"""

import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gradient_operator.api import workflow as api
from gradient_operator.workflow.model import (
    Action,
    CompiledJob,
    CreateModel,
    DatasetInput,
    EnvVar,
    GitCheckout,
    JobInput,
    OutputInput,
    S3Download,
    SharedVolumeInput,
)
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.references import object_name
from gradient_operator.workflow.state import Compilation, env_var

_USER: Final = re.compile(r"\s*https?://(?P<user>[^/@\s]+)@")
_PARAMETERS: Final[dict[Action, frozenset[str]]] = {
    Action.CONTAINER: frozenset({"image", "args", "command"}),
    Action.SCRIPT: frozenset({"image", "script"}),
    Action.GIT_CHECKOUT: frozenset({"url", "ref", "branch", "username", "password", "path"}),
    Action.S3_DOWNLOAD: frozenset(
        {"url", "access-key", "secret-access-key", "region", "endpoint", "path"}
    ),
    Action.CREATE_MODEL: frozenset({"name", "type"}),
}
_PROGRAM: Final = frozenset({"args", "command", "script"})
"""Parameters that say what runs: without effect the job would do something else than it says."""
_EVENTS: Final = {"url": "context.event.github.url", "ref": "context.event.github.ref"}
_LIKE_EVENT: Final = re.compile(
    r"[${\s]{0,8}(?:context\.|github\.(?:event|head_ref|ref|repository|server|sha|url)\b)"
)
MODEL_TYPES: Final = ("Tensorflow", "ONNX", "Custom")


def infer(state: Compilation, name: str, job: api.Job) -> Action | None:
    """The action of a job; without `uses` it follows from the parameters, as the docs show.

    None stands for one that is not known, which was noted as a problem.
    """
    if job.uses is None:
        return _from_parameters(state, name, _parameters(job))
    try:
        return Action(job.uses)
    except ValueError:
        hint = nearest(job.uses, [action.value for action in Action], "")
        message = f"{job.uses!r} is not an action; {hint}"
        state.error(("jobs", name, "uses"), message, "unknown-action")
        return None


def _from_parameters(
    state: Compilation, name: str, parameters: api.ActionParameters
) -> Action | None:
    if parameters.script is None and parameters.image is None:
        known = ", ".join(Action)
        state.error(("jobs", name), f"has no action: add uses, one of {known}", "no-action")
        return None
    action = Action.CONTAINER if parameters.script is None else Action.SCRIPT
    message = f"has no action, and is taken for one of {action}: add `uses: {action}`"
    state.warn(("jobs", name), message, "implicit-action")
    return action


def complete(state: Compilation, base: CompiledJob, job: api.Job) -> CompiledJob:
    """Add what the action runs to the job, and check its parameters."""
    _check_registries(state, base)
    if job.image is not None:
        text = "belongs under `with`: an image beside it counts only where that has none"
        state.warn(("jobs", base.name, "image"), text, "misplaced-image")
    parameters = _parameters(job)
    given = parameters.model_dump(by_alias=True, exclude_none=True)
    for key in sorted(given.keys() - _PARAMETERS[base.action]):
        allowed = ", ".join(sorted(_PARAMETERS[base.action]))
        message = f"is no parameter of {base.action}; it takes {allowed}"
        path = ("jobs", base.name, "with", key)
        if key in _PROGRAM:
            state.error(path, message, "unknown-parameter")
        else:
            state.warn(path, message, "unused-parameter")
    return _COMPLETE[base.action](state, base, parameters)


def _parameters(job: api.Job) -> api.ActionParameters:
    """Those under `with`, and an image that was written beside it."""
    parameters = job.with_ or api.ActionParameters()
    if parameters.image is not None or job.image is None:
        return parameters
    return parameters.model_copy(update={"image": job.image})


def _check_registries(state: Compilation, base: CompiledJob) -> None:
    """The hosted service's registries had names that a Secret cannot have."""
    for name in base.registries:
        if object_name(name) != name:
            state.warn(
                ("jobs", base.name),
                f"pulls with registry {name!r}, which no Secret can be called: its Secret is "
                f"{object_name(name)!r}",
                "registry-name",
            )


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
    if not (given.image or "").strip():
        text = (
            "has no image: it runs in the operator's own for scripts; name one that has its tools"
        )
        state.warn(("jobs", base.name, "with"), text, "no-image")
    return replace(
        base,
        image=_name_of(given.image or ""),
        command=("bash", "-c"),
        args=(given.script or "",),
    )


def _image(state: Compilation, base: CompiledJob, given: api.ActionParameters) -> str:
    if not (given.image or "").strip():
        _missing(state, base, "image")
    return _name_of(given.image or "")


def _name_of(image: str) -> str:
    """The image without spaces around it, and without the scheme that some put before it."""
    image = image.strip()
    for scheme in ("https://", "http://"):
        image = image.removeprefix(scheme)
    return image


def _missing(state: Compilation, base: CompiledJob, key: str) -> None:
    path = ("jobs", base.name, "with")
    state.error(path, f"has no {key}: {base.action} needs one", "missing-parameter")


def _git_checkout(
    state: Compilation, base: CompiledJob, given: api.ActionParameters
) -> CompiledJob:
    url, ref = given.url, given.ref or given.branch
    if not url:
        _missing(state, base, "url")
        return base
    _check_event(state, base, "url", url)
    _check_event(state, base, "ref", ref)
    if url == _EVENTS["url"]:
        url = _from_event(state, base, "url", state.event.url)
    if ref == _EVENTS["ref"]:
        ref = _from_event(state, base, "ref", state.event.ref)
    _warn_of_literal(state, base, "password", given.password)
    user = _USER.match(url or "")
    _warn_of_literal(state, base, "url", user["user"] if user else None)
    checkout = GitCheckout(
        url=url or "",
        ref=ref,
        username=_credential("GRADIENT_GIT_USERNAME", given.username),
        password=_credential("GRADIENT_GIT_PASSWORD", given.password),
        path=_target(state, base, given.path),
    )
    return replace(base, checkout=checkout)


def _s3_download(state: Compilation, base: CompiledJob, given: api.ActionParameters) -> CompiledJob:
    place = ("jobs", base.name, "with")
    url = (given.url or "").strip()
    if not url:
        _missing(state, base, "url")
        return base
    if not url.startswith(("s3://", "$")):
        message = "must begin with s3://, as s3://bucket/folder/; a server goes into endpoint"
        state.error((*place, "url"), message, "bad-url")
    keys = {"access-key": given.access_key, "secret-access-key": given.secret_access_key}
    lacking = [key for key, value in keys.items() if not value]
    if len(lacking) == 1:
        message = f"has no {lacking[0]}: add it, or remove both keys to read a public bucket"
        state.error(place, message, "missing-parameter")
    _warn_of_literal(state, base, "secret-access-key", given.secret_access_key)
    download = S3Download(
        url=url,
        region=given.region or "",
        endpoint=given.endpoint or "",
        access_key=_credential("GRADIENT_S3_ACCESS_KEY", given.access_key),
        secret_key=_credential("GRADIENT_S3_SECRET_KEY", given.secret_access_key),
        path=_target(state, base, given.path),
    )
    return replace(base, download=download)


def _credential(variable: str, value: str | None) -> EnvVar | None:
    return env_var(variable, value.strip()) if value else None


def _warn_of_literal(state: Compilation, base: CompiledJob, key: str, value: str | None) -> None:
    """A key that stands in the file is read by everybody who may read the file, or the Pod."""
    if value and not value.startswith(("secret:", "$")):
        state.warn(
            ("jobs", base.name, "with", key),
            "holds the key itself, for all to read: put it into the Secret of values and write "
            "secret:NAME",
            "literal-secret",
        )


def _check_event(state: Compilation, base: CompiledJob, key: str, value: str | None) -> None:
    """A misspelt placeholder would be cloned as it stands, which never works."""
    if value and _LIKE_EVENT.match(value) and value not in _EVENTS.values():
        text = f"is no placeholder: write {_EVENTS[key]}, or the {key} itself"
        state.error(("jobs", base.name, "with", key), text, "bad-event")


def _from_event(state: Compilation, base: CompiledJob, key: str, value: str | None) -> str | None:
    if value is None and state.given is not None:
        state.error(
            ("jobs", base.name, "with", key),
            f"needs the push that started the run: write the {key} itself, or add "
            f"context.event.github.{key} to the file",
            "no-event",
        )
    return value


def _target(state: Compilation, base: CompiledJob, given: str | None) -> str:
    """The directory that is filled: the one that was named, or the only output or legacy volume."""
    outputs = [f"/outputs/{output.name}" for output in base.outputs if output.type != "string"]
    volumes = [f"/inputs/{item.name}" for item in base.inputs if _is_volume(item)]
    if given is not None and given.strip():
        path = posixpath.normpath(posixpath.join("/", given.strip()))
        if not any(
            f"{path}/".startswith(f"{place}/") for place in (*outputs, *volumes, "/storage")
        ):
            state.warn(
                ("jobs", base.name, "with", "path"),
                f"is in no volume or dataset of the job: what lands in {path} is lost when it ends",
                "path-outside",
            )
        return path
    legacy = [f"/inputs/{item.name}" for item in base.inputs if isinstance(item, SharedVolumeInput)]
    places = outputs or legacy
    if len(places) == 1:
        return places[0]
    message = "has nowhere to put files: add an output of type volume or dataset"
    if places:
        message = f"has no path, and the job has {len(places)} outputs to choose from: add path"
    state.error(("jobs", base.name, "with"), message, "no-path")
    return "/outputs"


def _is_volume(item: JobInput) -> bool:
    return isinstance(item, SharedVolumeInput) or (
        isinstance(item, OutputInput) and item.type == "volume"
    )


def _create_model(
    state: Compilation, base: CompiledJob, given: api.ActionParameters
) -> CompiledJob:
    if not given.name:
        _missing(state, base, "name")
    spelled = {known.casefold(): known for known in MODEL_TYPES}
    kind = spelled.get((given.type or "").casefold())
    if kind is None:
        known = ", ".join(MODEL_TYPES)
        state.error(("jobs", base.name, "with", "type"), f"must be one of {known}", "model-type")
    declared = state.file.jobs[base.base or base.name].inputs or {}
    model = next((item for item in base.inputs if item.name == "model"), None)
    # One that is declared and yet missing is left open until the run, or was complained of.
    if any(item.name.startswith("model/") for item in base.inputs):
        text = "holds what every combination of a matrix made: let a job choose one of them"
        state.error(("jobs", base.name, "inputs", "model"), text, "no-model")
    elif "model" not in declared or (model is not None and not _is_dataset(model)):
        state.error(("jobs", base.name, "inputs"), "must hold a dataset called model", "no-model")
    for output in base.outputs:
        if output.name != "model-id" or output.type != "string":
            place = ("jobs", base.name, "outputs", output.name)
            state.error(
                place, "is not made by create-model@v1: only string model-id is", "no-model"
            )
    return replace(base, model=CreateModel(given.name or "", kind or "Custom"))


def _is_dataset(item: JobInput) -> bool:
    if isinstance(item, OutputInput):
        return item.type == "dataset"
    return isinstance(item, DatasetInput)


_Complete = Callable[[Compilation, CompiledJob, api.ActionParameters], CompiledJob]
_COMPLETE: Final[dict[Action, _Complete]] = {
    Action.CONTAINER: _container,
    Action.SCRIPT: _script,
    Action.GIT_CHECKOUT: _git_checkout,
    Action.S3_DOWNLOAD: _s3_download,
    Action.CREATE_MODEL: _create_model,
}
