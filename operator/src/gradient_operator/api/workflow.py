"""`GradientWorkflow`: the hosted service's file as `spec`, plus `spec.policy`, which is ours.

Every key of the hosted format keeps its name and meaning (kebab-case where it was kebab-case). What
a field means at run time stands in `docs/format.md`; here are shapes and bounds.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from gradient_operator.api import names
from gradient_operator.api.base import (
    ATOMIC,
    MAX_ARGS,
    MAX_ENV,
    MAX_JOBS,
    MAX_NAME,
    MAX_NEEDS,
    MAX_SLOTS,
    OPEN,
    Conditions,
    Model,
    Name,
    ObjectName,
    Open,
    Quantity,
    ShortText,
    Text,
    Timestamp,
)
from gradient_operator.api.policy import (
    MAX_MINUTES,
    HistoryPolicy,
    JobPolicy,
    OutOfMemoryPolicy,
    RetryPolicy,
    Timeouts,
)
from gradient_operator.api.triggers import ConcurrencyValue, ScheduleStatus, Trigger

Reference = Annotated[str, StringConstraints(max_length=512)]
DATASET_REFERENCE: Final = (
    r"^(([A-Za-z0-9][-A-Za-z0-9]*/)?[A-Za-z0-9][-A-Za-z0-9_.]*(:[A-Za-z0-9][-A-Za-z0-9_.]*)?"
    r"|.*\$\{\{.*\}\}.*)$"
)
"""`[namespace/]name[:version]`, for the API server; `workflow.references` reads the parts.

A job with a matrix may have `${{ matrix.KEY }}` in it, which is replaced before it is read."""
DatasetReference = Annotated[Reference, Field(json_schema_extra={"pattern": DATASET_REFERENCE})]
RegistryName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Env = Annotated[dict[str, Text], Field(max_length=MAX_ENV)]
Condition = Annotated[str, StringConstraints(max_length=1_024)]
"""An expression; `workflow.condition` reads it."""
MatrixItem = Annotated[Any, Field(json_schema_extra=OPEN)]
"""A plain value of a key; under `include` and `exclude` a map of such. `workflow.matrix` checks."""
MatrixKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z_][-A-Za-z0-9_]*$"),
]
MatrixValues = Annotated[list[MatrixItem], Field(max_length=256)]
Matrix = Annotated[dict[MatrixKey, MatrixValues], Field(max_length=MAX_SLOTS)]
PositiveMinutes = Annotated[float, Field(gt=0, le=MAX_MINUTES)]
MatrixReference = Annotated[str, StringConstraints(max_length=256)]
"""`${{ matrix.KEY }}` where the format has a number or a truth value."""


class Resources(Open):
    """The machine of a job, and the registries whose credentials pull its image."""

    instance_type: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = (
        Field(default=None, alias="instance-type")
    )
    """The name of a machine type, as `kubectl get gin` lists them under TYPE."""
    container_registries: Annotated[list[RegistryName], Field(max_length=16)] | None = Field(
        default=None, alias="container-registries"
    )
    """Names of Secrets of type `kubernetes.io/dockerconfigjson` in the namespace."""


class Defaults(Open):
    """Values for all jobs."""

    cluster_id: ShortText | None = Field(default=None, alias="clusterId")
    """Named a cluster of the hosted service; it means nothing here."""
    env: Env | None = None
    """Environment of every job; `secret:KEY` takes a key of the Secret `policy.secretName`."""
    resources: Resources | None = None


class SlotSource(Open):
    """`with` of an input or output: a dataset reference (`id` is its old spelling) or a value."""

    ref: DatasetReference | None = None
    """A dataset: NAME, NAME:VERSION, NAME:TAG or NAMESPACE/NAME."""
    id: DatasetReference | None = None
    """The old spelling of `ref`."""
    value: Text | None = None
    """The text of a string."""


class WorkflowInput(Open):
    """A workflow-level input; `with` is its default."""

    type: Literal["dataset", "string", "volume", "alias"]
    with_: SlotSource | None = Field(default=None, alias="with")
    optional: bool = False
    """Whether a run may start without a value."""


class JobInput(Open):
    """An input that a job declares in full; the usual form is a reference, a plain string."""

    type: Literal["dataset", "string", "volume"]
    with_: SlotSource | None = Field(default=None, alias="with")


class JobOutput(Open):
    """An output of a job: a dataset version, a volume, or one small string."""

    type: Literal["dataset", "string", "volume"]
    with_: SlotSource | None = Field(default=None, alias="with")


class ActionParameters(Open):
    """`with` of a job: the parameters of all actions."""

    image: ShortText | None = None
    """The container image that the job runs."""
    args: Annotated[list[Text], Field(max_length=MAX_ARGS)] | None = None
    """`container@v1`: arguments of the image's entrypoint, or of `command`."""
    command: Annotated[str | list[str] | None, Field(json_schema_extra=OPEN)] = None
    """`container@v1`: one word or a list, instead of the image's entrypoint."""
    script: Text | None = None
    """`script@v1`: lines for `bash -c`."""
    url: ShortText | None = None
    """`git-checkout@v1`: the repository. `s3-download@v1`: the bucket and path, as s3://…"""
    ref: ShortText | None = None
    """`git-checkout@v1`: a branch, tag or commit; `context.event.github.ref` is that of a push."""
    branch: ShortText | None = None
    """`git-checkout@v1`: what counts where there is no `ref`."""
    username: ShortText | None = None
    """`git-checkout@v1`: for a private repository; `secret:KEY` as in `env`."""
    password: ShortText | None = None
    """`git-checkout@v1`: a password or token; `secret:KEY` as in `env`."""
    path: ShortText | None = None
    """Of both: the output, or a folder in it, that is filled; needed where there are several."""
    access_key: ShortText | None = Field(default=None, alias="access-key")
    """`s3-download@v1`: `secret:KEY` as in `env`; without keys the bucket is read as the public
    may."""
    secret_access_key: ShortText | None = Field(default=None, alias="secret-access-key")
    """`s3-download@v1`: `secret:KEY` as in `env`."""
    region: ShortText | None = None
    endpoint: ShortText | None = None
    """`s3-download@v1`: the URL of an S3 service other than AWS."""
    name: ShortText | None = None
    """`create-model@v1`: the name of the model."""
    type: ShortText | None = None
    """`create-model@v1`: the type of the model, as Tensorflow or Custom."""


InputValue = Annotated[
    Reference | JobInput, Field(union_mode="left_to_right", json_schema_extra=OPEN)
]


class Strategy(Open):
    """Makes one job of each combination of values; `docs/control-flow.md` has examples."""

    matrix: Matrix | None = None
    """Lists of values by key; `include` adds to the combinations or to their number, `exclude`
    takes some away. Text of the job may hold `${{ matrix.KEY }}`."""
    max_parallel: int | None = Field(default=None, ge=1, alias="max-parallel")
    """How many combinations may run at once; all, if it is not given."""
    fail_fast: bool = Field(default=True, alias="fail-fast")
    """Whether the other combinations are cancelled once one has failed."""


class Job(Open):
    """One step: an action on a machine, with inputs and outputs."""

    resources: Resources | None = None
    needs: Annotated[list[Name], Field(max_length=MAX_NEEDS)] | None = None
    """The jobs that must have succeeded before this one starts."""
    env: Env | None = None
    """Environment of this job; wins over `defaults.env`."""
    inputs: Annotated[dict[Name, InputValue], Field(max_length=MAX_SLOTS)] | None = None
    """What appears under `/inputs`: JOB.outputs.NAME, workflow.inputs.NAME, or a full declaration
    (`type`, `with`)."""
    outputs: Annotated[dict[Name, JobOutput], Field(max_length=MAX_SLOTS)] | None = None
    """What the job leaves under `/outputs`."""
    uses: Annotated[str, StringConstraints(max_length=MAX_NAME)] | None = None
    """The action: container@v1, script@v1, git-checkout@v1, s3-download@v1 or create-model@v1."""
    with_: ActionParameters | None = Field(default=None, alias="with")
    image: ShortText | None = None
    """The image of a job that has none under `with`, where it belongs."""
    if_: Annotated[Condition | bool | None, Field(alias="if", json_schema_extra=OPEN)] = None
    """Whether the job runs, once its needs have ended: an expression over needs and inputs."""
    strategy: Strategy | None = None
    """Makes several jobs of this one."""
    timeout_minutes: Annotated[
        PositiveMinutes | MatrixReference | None,
        Field(alias="timeout-minutes", json_schema_extra=OPEN),
    ] = None
    """How long an attempt may run, from the start of its container; then it is stopped and has
    failed."""
    continue_on_error: Annotated[
        bool | MatrixReference, Field(alias="continue-on-error", json_schema_extra=OPEN)
    ] = False
    """Whether the run goes on, and may succeed, when this job fails."""
    retries: int | None = Field(default=None, ge=0, le=100)
    """Further attempts after a failure of the job itself; wins over `policy.retries`."""
    timeout: float | None = Field(default=None, ge=0)


class VolumePolicy(Open):
    """How the volumes of a run are kept."""

    mode: Literal["Auto", "ReadWriteMany", "ReadWriteOnce", "Copy"] = "Auto"
    """Auto: one claim that all jobs share where the cluster can, copies where it cannot."""
    storage_class: ObjectName | None = None
    """The class of the claims, instead of the cluster's default."""
    size: Quantity = "5Gi"
    """The size of each claim."""
    read_only_inputs: bool = False
    """Whether jobs that take a volume as input may only read it."""


class DatasetPolicy(Open):
    """Where the datasets of a run are kept, and whether they must exist before it starts."""

    provider: ObjectName | None = None
    """The GradientStorageProvider of new datasets, instead of the operator's default."""
    must_exist: bool = False
    """Whether a dataset that an output names must exist, instead of being created."""


class Policy(Open):
    """What the hosted service decided by itself; a file without it means what it always meant."""

    start: Literal["Auto", "Manual"] = "Auto"
    """Auto: each new spec starts a run. Manual: runs are made by hand, or by `gradient run`."""
    retries: int = Field(default=0, ge=0, le=100)
    """Further attempts after a failure of the job itself."""
    infra_retries: int = Field(default=3, ge=0, le=100)
    """Further attempts after a failure that is not the job's fault: evicted, node lost, …"""
    retry: RetryPolicy | None = None
    """Which exit codes `retries` are for, and the delays before further attempts."""
    out_of_memory: OutOfMemoryPolicy | None = None
    """Further attempts with more memory after running out of it."""
    max_parallel: int | None = Field(default=None, ge=1, le=MAX_JOBS)
    """How many jobs of the run may be under way at once; all, if it is not given."""
    priority: int = Field(default=0, ge=-1_000, le=1_000)
    """Where the operator's configuration limits jobs, those of higher priority come first."""
    timeouts: Timeouts | None = None
    """How long jobs may wait, start and run, and how long the whole run may take."""
    jobs: Annotated[dict[Name, JobPolicy], Field(max_length=MAX_JOBS)] = {}
    """What holds for single jobs instead, by their names; for all combinations of a matrix."""
    history: HistoryPolicy | None = None
    """How many ended runs of the workflow are kept, and for how long; its newest always is."""
    reuse: bool = False
    """Whether a job that would do the same as one of an earlier run of the namespace (same spec,
    image and inputs) takes that one's result instead of running."""
    reuse_image_tags: bool = False
    """With reuse: whether images that are named by a tag count as the same while the tag's text is.
    Otherwise only those pinned by digest do."""
    upload_seconds: int = Field(default=3_600, ge=10, le=86_400)
    """How long the upload of a job's outputs may take."""
    outputs_size: Quantity | None = None
    """How much a job may write under `/outputs`, volumes not counted; a job that writes more is
    stopped and has failed. So much of the node's disk is kept for it."""
    secret_name: ObjectName = names.SECRET_OF_VALUES
    """The Secret whose keys `secret:KEY` refers to."""
    volumes: VolumePolicy = VolumePolicy()
    datasets: DatasetPolicy = DatasetPolicy()


class GradientFile(Open):
    """What a `.gradient/workflows/*.yaml` file holds."""

    on: Trigger | None = None
    """What starts a run. The key may also be "true": that is what YAML 1.1 makes of a bare `on`."""
    defaults: Defaults | None = None
    inputs: Annotated[dict[Name, WorkflowInput], Field(max_length=MAX_SLOTS)] | None = None
    """Values that a run may be given; jobs take them as workflow.inputs.NAME."""
    jobs: Annotated[
        dict[Name, Annotated[Job, Field(json_schema_extra=ATOMIC)]], Field(max_length=MAX_JOBS)
    ] = {}
    """The steps, by name; those without a path of `needs` between them run at the same time."""
    context: Annotated[dict[str, Any], Field(max_length=64, json_schema_extra=OPEN)] | None = None
    """What the hosted service wrote into stored files; it means nothing here."""
    timeout: float | None = Field(default=None, ge=0)
    concurrency: ConcurrencyValue | None = None
    """A group of which one run at a time is under way: its name, or `group` and
    `cancel-in-progress`."""

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
    suspend: bool = False
    """While it is true, neither a changed file nor `on.schedule` starts a run."""


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
    """How many jobs the file has."""
    spec_hash: ShortText = ""
    """Of the graph that the last run was started for: an unchanged graph starts nothing."""
    last_run: RunSummary | None = None
    schedule: ScheduleStatus | None = None
    """Present while `on.schedule` is in force."""
