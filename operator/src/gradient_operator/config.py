"""The operator's configuration: one YAML file, checked at start, as a ConfigMap holds it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from gradient_operator.api.base import Model, ObjectName, Quantity, ShortText
from gradient_operator.api.datasets import WebIdentity
from gradient_operator.api.policy import Timeouts

DEFAULT_PATH = Path("/etc/gradient/config.yaml")


def _word(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says which field and why."""


class DefaultStorage(Model):
    """The provider of runs that name none; its keys lie in `credentialsDirectory`.

    The directory holds the files `accessKeyId` and `secretAccessKey`, as a mounted Secret does.
    """

    endpoint: Annotated[str, StringConstraints(max_length=512, pattern=r"^https?://.+")]
    region: ShortText = "us-east-1"
    bucket: ShortText
    prefix: ShortText = ""
    path_style: bool = True
    credentials_directory: Path = Path("/etc/gradient/storage")
    web_identity: WebIdentity | None = None
    """How the helpers get keys, instead of copies of those in `credentialsDirectory`."""


class VolumeDefaults(Model):
    """The class known to serve ReadWriteMany: `Auto` takes it for shared volumes."""

    read_write_many_class: ObjectName | None = None


class LeaseSettings(Model):
    """The Lease that elects the one active operator; times in seconds, each below the one above.

    The active one renews every two retry periods while there is work, and when four fifths of
    `renewDeadline` have passed while there is none; see decision 18.
    """

    name: ObjectName = "gradient-operator"
    duration: float = Field(default=18, gt=1)
    renew_deadline: float = Field(default=16, gt=0.5)
    retry_period: float = Field(default=1, gt=0.05)


class BlobCache(Model):
    """A folder of each node that keeps what jobs fetched; `sizeLimit` is for each namespace.

    Namespaces need a Pod Security level that allows `hostPath`: docs/storage.md.
    """

    path: Annotated[
        str, StringConstraints(max_length=512, pattern=r"^(/[A-Za-z0-9][A-Za-z0-9._-]*)+$")
    ]
    size_limit: Quantity


class HistorySettings(Model):
    """What is kept of runs that have ended; a workflow's `policy.history` says it for its own.

    Its newest ended run always stays. A run goes only once it is archived, or when
    `archivePatienceDays` beyond `keepDays` have passed in vain.
    """

    keep_succeeded: int = Field(default=10, ge=1, le=10_000)
    """Of each workflow."""
    keep_failed: int = Field(default=10, ge=1, le=10_000)
    """Of each workflow, with those that were cancelled."""
    keep_days: float = Field(default=30, ge=0.01, le=3_650)
    keep_minutes: float = Field(default=10, ge=0, le=1_440)
    """No run goes that ended less ago."""
    archive: Annotated[Literal["off", "records", "logs"], BeforeValidator(_word)] = "logs"
    """What is kept in the default provider's bucket: the runs, or also the logs of their jobs."""
    log_mebibytes: int = Field(default=10, ge=1, le=64)
    """How much of the end of each log."""
    archive_patience_days: float = Field(default=7, ge=0, le=365)
    sweep_seconds: float = Field(default=60, gt=0.1, le=86_400)


class NamespacePolicy(Model):
    """What runs of a namespace may at most, and get; what is not given is not limited."""

    blob_cache: BlobCache | None = None
    """Where Pods of this namespace keep fetched data on their nodes; nowhere if not given."""

    timeouts: Timeouts | None = None
    """Bounds of the clocks in `policy.timeouts`; they hold for jobs that name none, too."""
    max_running_jobs: int | None = Field(default=None, ge=0)
    """How many jobs of the namespace may be under way at once."""
    max_priority: int | None = Field(default=None, ge=-1_000, le=1_000)
    """The highest `policy.priority` that counts here."""


class PriorityClass(Model):
    """The PriorityClass of the Pods of runs from a priority on."""

    minimum: int = Field(ge=-1_000, le=1_000)
    name: ObjectName


class OperatorConfig(Model):
    """Everything that an installation decides.

    `watchNamespace` restricts the operator to one namespace; `podFinalizer` off saves a request
    per job at the price that a Pod deleted by hand loses its result.
    """

    helper_image: ShortText = "localhost/gradient/operator:dev"
    default_image: ShortText = "bash:5"
    """Of scripts that name none."""
    storage: DefaultStorage | None = None
    public_datasets: dict[ShortText, ObjectName] = Field(default_factory=dict)
    """Teams of the hosted service whose datasets everybody may read, as the `gradient` in
    `gradient/NAME`, and the namespace of this cluster that holds a copy of them."""
    provenance_key: Path = Path("/etc/gradient/provenance/key.pem")
    """A private key (PEM; Ed25519 or ECDSA P-256), as a mounted Secret has it: if the file is
    there, what is told of how versions were made is signed."""
    volumes: VolumeDefaults = VolumeDefaults()
    storage_claim: ObjectName | None = None
    """The claim that is mounted at `/storage` in namespaces that have it."""
    namespace_policy: NamespacePolicy = NamespacePolicy()
    """What holds in every namespace that has no entry of its own for it."""
    namespaces: dict[ObjectName, NamespacePolicy] = Field(default_factory=dict)
    """What holds in single namespaces instead, field by field."""
    machine_type_limits: dict[ShortText, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """How many jobs of a machine type may be under way at once in the whole cluster."""
    priority_classes: list[PriorityClass] = Field(default_factory=list)
    """Without one Pods have the cluster's default class, whatever their run's priority is."""
    history: HistorySettings = HistorySettings()
    pod_finalizer: bool = True
    watch_namespace: ObjectName | None = None
    workers: int = Field(default=16, ge=1, le=256)
    lease: LeaseSettings = LeaseSettings()
    listen_port: int = Field(default=8080, ge=0, le=65_535)

    def policy_of(self, namespace: str) -> NamespacePolicy:
        """What holds in a namespace."""
        own = self.namespaces.get(namespace)
        if own is None:
            return self.namespace_policy
        named = {name: getattr(own, name) for name in own.model_fields_set}
        return self.namespace_policy.model_copy(update=named)

    def priority_of(self, namespace: str, asked: int) -> int:
        """The priority that a run has which asks for this one."""
        most = self.policy_of(namespace).max_priority
        return asked if most is None else min(asked, most)

    def priority_class(self, priority: int) -> str | None:
        """The PriorityClass of the Pods of runs with this priority; None: the cluster's default."""
        fitting = [each for each in self.priority_classes if each.minimum <= priority]
        return max(fitting, key=lambda each: each.minimum).name if fitting else None


def load_config(path: Path) -> OperatorConfig:
    """Read and check the file; an absent default file means the defaults.

    Raises:
        ConfigurationError: the file cannot be read, or a field is wrong.
    """
    if not path.exists() and path == DEFAULT_PATH:
        return OperatorConfig()
    try:
        return OperatorConfig.model_validate(yaml.safe_load(path.read_text()) or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
