"""Keys that people bring along from other formats, and what to write here instead.

Most first drafts of a Gradient file hold some of GitHub Actions, GitLab CI or Docker Compose. Each
of these keys has a sentence of its own; it reads after the key's place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Habit:
    """What to say about a key, and by which rule."""

    rule: str
    sentence: str


_GITHUB: Final = "github-actions-key"
_TRIGGER: Final = "github-actions-trigger"
_GITLAB: Final = "gitlab-key"
_DOCKER: Final = "docker-key"
_OTHER: Final = "deployments-key"
_PLACE: Final = "misplaced-key"

_REGISTRY: Final = Habit(
    _OTHER,
    "is of Gradient Deployments: in a workflow write `container-registries: [NAME]` under "
    "`defaults.resources`",
)
_IN_DEFAULTS: Final = Habit(_PLACE, "stands under `defaults`, or in a job")
_IN_JOB: Final = Habit(_PLACE, "belongs to a job: indent it below the name of its job")
_IN_WITH: Final = Habit(_PLACE, "belongs under `with`")
_BESIDE_WITH: Final = Habit(_PLACE, "belongs to the job: give it the indentation of `with`")
_IN_SCRIPT: Final = "write it into the script"
_BUILD: Final = Habit(
    _DOCKER, "builds images, which no action does: build it elsewhere, and name it under `image`"
)
_CONNECTED: Final = Habit(
    _DOCKER, "is of containers that serve: a job runs to its end and has no ports of its own"
)
_ENTRYPOINT: Final = Habit(_DOCKER, "is of Docker: write `command` under `with` of container@v1")


def _github(sentence: str) -> Habit:
    return Habit(_GITHUB, f"is of GitHub Actions: {sentence}")


def _gitlab(sentence: str) -> Habit:
    return Habit(_GITLAB, f"is of GitLab CI: {sentence}")


_TOP: Final = {
    "name": _github("a workflow is called as its file is; remove the line"),
    "run-name": _github("a run is called after its workflow; remove the line"),
    "permissions": _github("nothing here asks for permissions; remove it"),
    "env": Habit(_PLACE, "stands under `defaults`, for all jobs, or in a job"),
    "steps": _github("each step is a job of its own under `jobs`"),
    "runs-on": _github("name the machine under `defaults.resources.instance-type`"),
    "workflow_dispatch": _github("write `on: {manual: {}}`"),
    "version": Habit(_DOCKER, "is of Docker Compose: the format has no version; remove it"),
    "services": Habit(_DOCKER, "is of Docker Compose: write what runs as jobs under `jobs`"),
    "volumes": Habit(_DOCKER, "is of Docker Compose: a job declares volumes under its `outputs`"),
    "stages": _gitlab("the order of jobs follows from their `needs`"),
    "variables": _gitlab("write `env` under `defaults`"),
    "before_script": _gitlab("write it into the script of each job"),
    "after_script": _gitlab("write it into the script of each job"),
    "resources": _IN_DEFAULTS,
    "clusterId": Habit(_PLACE, "stands under `defaults`"),
    "instance-type": Habit(_PLACE, "stands under `defaults.resources`, or in `resources` of a job"),
    "container-registries": Habit(_PLACE, "stands under `defaults.resources`"),
    "github": Habit(_PLACE, "stands under `on`"),
    "branches": Habit(_PLACE, "stands under `on.github`"),
    "schedule": Habit(_PLACE, "stands under `on`"),
    "containerRegistry": _REGISTRY,
    **dict.fromkeys(("uses", "with", "needs", "outputs"), _IN_JOB),
}
_ON: Final = {
    "push": Habit(_TRIGGER, "is of GitHub Actions: write `github: {branches: {only: BRANCH}}`"),
    "workflow_dispatch": Habit(_TRIGGER, "is of GitHub Actions: write `manual: {}`"),
    "cron": Habit(_TRIGGER, "stands in an item of `schedule`: write `schedule: [{cron: …}]`"),
    **dict.fromkeys(
        ("pull_request", "pull_request_target", "release", "workflow_call", "workflow_run"),
        Habit(
            _TRIGGER,
            "is of GitHub Actions: runs start by pushes (`github`), times "
            "(`schedule`) and by hand (`manual`)",
        ),
    ),
    **dict.fromkeys(("branches", "tags"), Habit(_PLACE, "stands under `on.github`")),
}
_ON_GITHUB: Final = dict.fromkeys(
    ("only", "include", "ignore"), Habit(_PLACE, "stands under `branches` or `tags`")
)
_JOB: Final = {
    "runs-on": _github("name the machine as `instance-type` under `resources`"),
    "steps": _github("a job is one step; make each a job, or one `script` under `with`"),
    "name": _github("a job is called by its key under `jobs`; remove the line"),
    "permissions": _github("nothing here asks for permissions; remove it"),
    "container": _github("write `image` under `with`"),
    "run": _github("write `uses: script@v1`, and the lines as `script` under `with`"),
    "shell": _github("a script runs in bash; remove the line"),
    "working-directory": _github("write `cd` into the script"),
    "secrets": _github("write `secret:NAME` as the value of a variable under `env`"),
    "services": _github("start what the job needs in its script"),
    "stage": _gitlab("the order of jobs follows from their `needs`"),
    "when": _gitlab("jobs start as soon as their `needs` have succeeded; `if` sets a condition"),
    "start_in": _gitlab(
        "jobs start as soon as their `needs` have succeeded; `on.schedule` sets a time"
    ),
    "artifacts": _gitlab("what a job leaves behind are its `outputs`"),
    "dependencies": _gitlab("write `needs`"),
    "variables": _gitlab("write `env`"),
    "retry": _gitlab("write `retries`"),
    "allow_failure": _gitlab("write `continue-on-error`"),
    "parallel": _gitlab("write `strategy.matrix`"),
    "extends": _gitlab("repeat it, or use an anchor of YAML (`&name`, `<<: *name`)"),
    "cache": _gitlab("keep what later runs need in a dataset, or in the image"),
    **dict.fromkeys(("before_script", "after_script"), _gitlab(_IN_SCRIPT)),
    **dict.fromkeys(("only", "except", "rules"), _gitlab("`on` says what starts the workflow")),
    **dict.fromkeys(("build", "dockerfile"), _BUILD),
    **dict.fromkeys(("ports", "expose", "links"), _CONNECTED),
    "volumes": Habit(
        _DOCKER,
        "is of Docker: declare a volume under `outputs` of the job that "
        "fills it, and take it under `inputs`",
    ),
    "depends_on": Habit(_DOCKER, "is of Docker Compose: write `needs`"),
    "environment": Habit(_DOCKER, "is of Docker Compose: write `env`"),
    "entrypoint": _ENTRYPOINT,
    "containerRegistry": _REGISTRY,
    **dict.fromkeys(
        ("instance-type", "container-registries"), Habit(_PLACE, "belongs under `resources`")
    ),
}
_WITH: Final = {
    "run": _github("write the lines as `script`"),
    "shell": _github("a script runs in bash; remove the line"),
    "working-directory": _github("write `cd` into the script"),
    "repository": _github("write `url`"),
    "token": _github("write `username` and `password: secret:NAME`"),
    **dict.fromkeys(
        ("context", "dockerfile", "build_args", "build-args", "build", "push", "tags"), _BUILD
    ),
    **dict.fromkeys(("ports", "expose"), _CONNECTED),
    "entrypoint": _ENTRYPOINT,
    "environment": Habit(_DOCKER, "is of Docker Compose: write `env` beside `with`"),
    "volumes": Habit(
        _DOCKER,
        "is of Docker: declare a volume under `outputs` of the job that "
        "fills it, and take it under `inputs`",
    ),
    **dict.fromkeys(("containerRegistry", "registry"), _REGISTRY),
    **dict.fromkeys(
        ("env", "needs", "inputs", "outputs", "resources", "uses", "timeout-minutes"), _BESIDE_WITH
    ),
    "instance-type": Habit(_PLACE, "belongs under `resources` of the job"),
    **dict.fromkeys(
        ("model", "model-id", "modelId"),
        Habit(_PLACE, "is an input of the job: write `model: JOB.outputs.NAME` under `inputs`"),
    ),
}
_SLOT: Final = dict.fromkeys(("ref", "id", "value"), _IN_WITH)
_PARAMETERS: Final = frozenset(
    {"image", "args", "command", "script", "url", "ref", "branch", "username", "password", "path"}
)
_OF_JOB: Final = len(("jobs", "the job", "the key"))
JOB_KEYS: Final = frozenset({"uses", "with", "needs", "inputs", "outputs", "resources", "env"})


def habit(path: Path) -> Habit | None:
    """What to say about the unknown key at the end of a path; None if it is nobody's habit."""
    key = str(path[-1])
    found = _at(_in_file(path)[:-1]).get(key)
    if found is None and len(_in_file(path)) == _OF_JOB and _in_file(path)[0] == "jobs":
        return _IN_WITH if key in _PARAMETERS else None
    return found


def misplaced_job_key(path: Path) -> Habit | None:
    """What to say about a job that is most likely a key which stands too far left."""
    match _in_file(path):
        case ("jobs", key, *_) if key in JOB_KEYS:
            return _IN_JOB
    return None


def trigger(value: object) -> Habit | None:
    """What to say about an `on` that is no mapping."""
    names = value if isinstance(value, list) else [value]
    for name in names:
        if isinstance(name, str) and name in _ON:
            return _ON[name]
    return None


def _in_file(path: Path) -> Path:
    """The path within the Gradient file: a run holds one under `definition`."""
    return path[1:] if path[:1] == ("definition",) else path


def _at(place: Path) -> Mapping[str, Habit]:
    match place:
        case ():
            return _TOP
        case ("on",):
            return _ON
        case ("on", "github"):
            return _ON_GITHUB
        case ("jobs", _):
            return _JOB
        case ("jobs", _, "with"):
            return _WITH
        case ("jobs", _, "inputs" | "outputs", _) | ("inputs", _):
            return _SLOT
    return {}
