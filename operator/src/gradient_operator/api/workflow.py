"""`GradientWorkflow`: the hosted service's file as `spec`, plus `spec.policy`, which is ours.

Every key of the hosted format keeps its name and meaning (kebab-case where it was kebab-case). What
a field means at run time stands in `docs/format.md`; here are shapes and bounds.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from gradient_operator.api.base import (
    MAX_ENV,
    MAX_JOBS,
    MAX_NAME,
    MAX_NEEDS,
    MAX_SLOTS,
    Conditions,
    Model,
    Name,
    ObjectName,
    Quantity,
    ShortText,
    Text,
    Timestamp,
)

OPEN: Final[JsonDict] = {"x-kubernetes-preserve-unknown-fields": True}
"""Unknown keys reach the operator, which refuses them by name; the API server would prune them."""

Reference = Annotated[str, StringConstraints(max_length=512)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Env = Annotated[dict[str, Text], Field(max_length=MAX_ENV)]


class Open(Model):
    """A part of the Gradient file: the API server keeps its unknown keys, we refuse them."""

    model_config = ConfigDict(json_schema_extra=OPEN)


class RefFilter(Open):
    """Which branches, or tags, start a run."""

    only: Pattern | None = None
    include: Annotated[list[Pattern], Field(max_length=64)] | None = None
    ignore: Annotated[list[Pattern], Field(max_length=64)] | None = None


class GithubTrigger(Open):
    """A push to the linked repository."""

    branches: RefFilter | None = None
    tags: RefFilter | None = None


class Trigger(Open):
    """The block `on`."""

    github: GithubTrigger | None = None


class Resources(Open):
    """The machine of a job, and the registries whose credentials pull its image."""

    instance_type: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = (
        Field(default=None, alias="instance-type")
    )
    container_registries: Annotated[list[ObjectName], Field(max_length=16)] | None = Field(
        default=None, alias="container-registries"
    )


class Defaults(Open):
    """Values for all jobs."""

    cluster_id: ShortText | None = Field(default=None, alias="clusterId")
    env: Env | None = None
    resources: Resources | None = None


class SlotSource(Open):
    """`with` of an input or output: a dataset reference (`id` is its old spelling) or a value."""

    ref: Reference | None = None
    id: Reference | None = None
    value: Text | None = None


class WorkflowInput(Open):
    """A workflow-level input; `with` is its default."""

    type: Literal["dataset", "string", "volume", "alias"]
    with_: SlotSource | None = Field(default=None, alias="with")
    optional: bool = False


class JobInput(Open):
    """An input that a job declares in full; the usual form is a reference, a plain string."""

    type: Literal["dataset", "string", "volume"]
    with_: SlotSource | None = Field(default=None, alias="with")


class JobOutput(Open):
    """An output of a job: a dataset version, a volume, or one small string."""

    type: Literal["dataset", "string", "volume"]
    with_: SlotSource | None = Field(default=None, alias="with")


class ActionParameters(Open):
    """`with` of a job: the parameters of all actions; `workflow` checks which go together."""

    image: ShortText | None = None
    args: Annotated[list[Text], Field(max_length=1_024)] | None = None
    command: Annotated[str | list[str] | None, Field(json_schema_extra=OPEN)] = None
    script: Text | None = None
    url: ShortText | None = None
    ref: ShortText | None = None
    username: ShortText | None = None
    password: ShortText | None = None
    path: ShortText | None = None
    access_key: ShortText | None = Field(default=None, alias="access-key")
    secret_access_key: ShortText | None = Field(default=None, alias="secret-access-key")
    region: ShortText | None = None
    endpoint: ShortText | None = None
    name: ShortText | None = None
    type: ShortText | None = None


InputValue = Annotated[
    Reference | JobInput, Field(union_mode="left_to_right", json_schema_extra=OPEN)
]


class Job(Open):
    """One step: an action on a machine, with inputs and outputs."""

    resources: Resources | None = None
    needs: Annotated[list[Name], Field(max_length=MAX_NEEDS)] | None = None
    env: Env | None = None
    inputs: Annotated[dict[Name, InputValue], Field(max_length=MAX_SLOTS)] | None = None
    outputs: Annotated[dict[Name, JobOutput], Field(max_length=MAX_SLOTS)] | None = None
    uses: Annotated[str, StringConstraints(max_length=MAX_NAME)] | None = None
    with_: ActionParameters | None = Field(default=None, alias="with")
    timeout: float | None = Field(default=None, ge=0)


class VolumePolicy(Model):
    """How the volumes of a run are kept."""

    mode: Literal["Auto", "ReadWriteMany", "ReadWriteOnce", "Copy"] = "Auto"
    storage_class: ObjectName | None = None
    size: Quantity = "5Gi"
    read_only_inputs: bool = False


class DatasetPolicy(Model):
    """Where the datasets of a run are kept, and whether they must exist before it starts."""

    provider: ObjectName | None = None
    must_exist: bool = False


class Policy(Model):
    """What the hosted service decided by itself; a file without it means what it always meant.

    `retries` counts further attempts after a job's own failure, `infraRetries` after one that is
    not its fault (evicted, node lost, upload failed). `uploadSeconds` bounds the upload of outputs.
    """

    start: Literal["Auto", "Manual"] = "Auto"
    retries: int = Field(default=0, ge=0, le=100)
    infra_retries: int = Field(default=3, ge=0, le=100)
    upload_seconds: int = Field(default=3_600, ge=60, le=86_400)
    secret_name: ObjectName = "gradient-secrets"
    volumes: VolumePolicy = VolumePolicy()
    datasets: DatasetPolicy = DatasetPolicy()


class GradientFile(Open):
    """What a `.gradient/workflows/*.yaml` file holds."""

    on: Trigger | None = None
    defaults: Defaults | None = None
    inputs: Annotated[dict[Name, WorkflowInput], Field(max_length=MAX_SLOTS)] | None = None
    jobs: Annotated[dict[Name, Job], Field(max_length=MAX_JOBS)] = {}
    context: Annotated[dict[str, Any] | None, Field(json_schema_extra=OPEN)] = None
    timeout: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _on_is_not_true(cls, data: Any) -> Any:
        """YAML 1.1 reads the bare key `on` as true: kubectl then sends the key `"true"`."""
        if not isinstance(data, dict):
            return data
        moved = {key: value for key, value in data.items() if key not in ("true", True)}
        for key in ("true", True):
            if key in data:
                moved.setdefault("on", data[key])
        return moved


class WorkflowSpec(GradientFile):
    """A Gradient file and the policy under which it runs here."""

    policy: Policy | None = None


class RunSummary(Model):
    """The last run that this workflow started."""

    name: ObjectName
    phase: ShortText = ""
    finished_at: Timestamp | None = None


class WorkflowStatus(Model):
    """Whether the file is valid, what starts it, and its last run."""

    observed_generation: int = Field(default=0, ge=0)
    conditions: Conditions = []
    jobs: int = Field(default=0, ge=0)
    spec_hash: ShortText = ""
    """Of the graph that the last run was started for: an unchanged graph starts nothing."""
    last_run: RunSummary | None = None
