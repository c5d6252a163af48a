"""What all kinds share: the strict model, bounded strings, conditions."""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

MAX_JOBS: Final = 2_048
"""Jobs in one workflow; bounded by the room for their status in one object, and by the cost that
CEL rules may have."""
MAX_NEEDS: Final = 2_048
MAX_SLOTS: Final = 64
"""Inputs, or outputs, of one job."""
MAX_ENV: Final = 128
MAX_ARGS: Final = 256
"""With MAX_ENV and MAX_JOBS bounded by the cost of the rules that add up a file's text."""
MAX_TEXT: Final = 262_144
"""Characters in one script or argument; a whole object must stay below etcd's 1.5 MiB."""
MAX_NAME: Final = 63
OPEN: Final[JsonDict] = {"x-kubernetes-preserve-unknown-fields": True}
"""Unknown keys reach the operator, which refuses them by name; the API server would prune them."""
ATOMIC: Final[JsonDict] = {"x-kubernetes-map-type": "atomic"}
"""One author writes all of it; the API server then keeps no record of who owns which leaf."""


class Model(BaseModel):
    """A frozen part of a kind: camelCase outside, snake_case inside, unknown keys refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        defer_build=True,
    )


class Open(Model):
    """A part of the Gradient file: the API server keeps its unknown keys, we refuse them."""

    model_config = ConfigDict(json_schema_extra=OPEN)


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]*$"),
]
"""A name inside a Gradient file: of a job, an input, an output."""
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
]
"""The name of an object in the cluster (RFC 1123)."""
ShortText = Annotated[str, StringConstraints(max_length=1_024)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64)]
"""SHA-256 in lower-case hexadecimal."""
Timestamp = Annotated[
    str, StringConstraints(max_length=64), Field(json_schema_extra={"format": "date-time"})
]
"""RFC 3339 in UTC, as `2026-01-31T12:00:00Z`."""
Quantity = Annotated[
    str, StringConstraints(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
]
"""A Kubernetes resource quantity, as `500m`, `4`, `8Gi`."""


def times(quantity: str, count: int) -> str:
    """So many times a quantity, in its unit."""
    number = quantity.rstrip("mkMGTi")
    return f"{Decimal(number) * count}{quantity[len(number) :]}"


class Condition(Model):
    """A `metav1.Condition`."""

    type: Annotated[str, StringConstraints(max_length=63)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, StringConstraints(max_length=128)]
    message: Annotated[str, StringConstraints(max_length=4_096)] = ""
    last_transition_time: Timestamp
    observed_generation: int = Field(default=0, ge=0)


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
