"""`GradientInstanceType`: a machine type, as jobs name it under `instance-type`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gradient_operator.api.base import MAX_NAME, Model, Quantity, ShortText


class Toleration(Model):
    """A Pod's toleration, as Kubernetes has it."""

    key: ShortText | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: ShortText | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Gpu(Model):
    """Whole GPUs of one extended resource."""

    count: int = Field(ge=1, le=64)
    resource: ShortText = "nvidia.com/gpu"
    model: ShortText = ""
    memory: Quantity | None = None


class InstanceTypeSpec(Model):
    """Where jobs of this type run, and what they may use."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
    """The spelling in Gradient files (`C4`, `A100-80Gx8`): object names are lower case."""
    description: ShortText = ""
    node_selector: Annotated[dict[str, ShortText], Field(max_length=32)] = {}
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    cpu: Quantity | None = None
    """What each job requests."""
    memory: Quantity | None = None
    """What each job requests, and the most that it may use."""
    gpu: Gpu | None = None
    price_per_hour: Annotated[
        str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?$", max_length=16)
    ] = "0"
    """Dollars."""
