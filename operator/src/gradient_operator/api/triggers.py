"""What starts a run (`on`), and which runs exclude each other (`concurrency`).

The hosted service knew pushes only. What its users asked for beyond that has the names that GitHub
Actions gives it; `docs/format.md` says what each does.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from gradient_operator.api.base import (
    MAX_SLOTS,
    OPEN,
    Model,
    Name,
    Open,
    ShortText,
    Timestamp,
)

MAX_SCHEDULES: Final = 16
"""Entries of `on.schedule`."""
MAX_OPTIONS: Final = 64
"""Values of one input of type choice."""

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class RefFilter(Open):
    """Which branches, or tags, start a run."""

    only: Pattern | None = None
    """The one name that starts a run."""
    include: Annotated[list[Pattern], Field(max_length=64)] | None = None
    ignore: Annotated[list[Pattern], Field(max_length=64)] | None = None


class GithubTrigger(Open):
    """A push to the linked repository."""

    branches: RefFilter | None = None
    tags: RefFilter | None = None


class Schedule(Open):
    """Times at which a run starts."""

    cron: Pattern
    """Minute, hour, day of month, month and day of week, as cron reads them."""
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    """A name of the IANA time zone database, as Europe/Berlin."""


class ManualInput(Open):
    """A value that a person gives when starting a run; jobs take it as `workflow.inputs.NAME`."""

    description: ShortText | None = None
    """What `gradient run` says when the value is missing."""
    type: Literal["string", "number", "boolean", "choice"] = "string"
    """What the text must be: string, number, boolean, or choice (one of `options`)."""
    options: Annotated[list[ShortText], Field(max_length=MAX_OPTIONS)] | None = None
    """The values that an input of type choice may have."""
    default: Annotated[str | bool | int | float | None, Field(json_schema_extra=OPEN)] = None
    """The value of a run that gives none."""
    required: bool = False
    """Whether a run must give a value, if there is no default."""

    @field_validator("default", mode="before")
    @classmethod
    def _default_is_one_value(cls, value: Any) -> Any:
        """One complaint, instead of one for each type that it might have been."""
        if isinstance(value, list | dict):
            raise PydanticCustomError("default_form", "must be a text, a number, true or false")
        return value


class ManualTrigger(Open):
    """Runs are started by hand."""

    inputs: Annotated[dict[Name, ManualInput], Field(max_length=MAX_SLOTS)] | None = None
    """What is asked for, by name."""


class Trigger(Open):
    """The block `on`."""

    github: GithubTrigger | None = None
    schedule: Annotated[list[Schedule], Field(max_length=MAX_SCHEDULES)] | None = None
    """Times at which runs start; a changed file alone then starts none."""
    manual: ManualTrigger | None = None
    """Runs start by hand only: `gradient run NAME`; a changed file alone then starts none."""

    @field_validator("manual", mode="before")
    @classmethod
    def _manual_is_a_map(cls, value: Any) -> Any:
        """`manual: true` reads well and says nothing; null would be taken for absence."""
        if isinstance(value, dict | ManualTrigger):
            return value
        raise PydanticCustomError(
            "manual_form", "must hold keys and values: write `manual: {}`, or `inputs` below it"
        )


class Concurrency(Open):
    """At most one run of a group is under way in a namespace."""

    group: Pattern
    """The group's name; `${{ workflow }}` and `${{ inputs.NAME }}` in it are filled in."""
    cancel_in_progress: bool = Field(default=False, alias="cancel-in-progress")
    """Whether a new run ends the one under way, instead of waiting for it."""


ConcurrencyValue = Annotated[
    Pattern | Concurrency, Field(union_mode="left_to_right", json_schema_extra=OPEN)
]
"""The name of a group alone, or with what happens to the run under way."""


class ScheduleStatus(Model):
    """What the operator remembers of `on.schedule`: a time is started once, or noted as missed."""

    hash: ShortText = ""
    """Of the schedules that `next` was computed from."""
    next: Timestamp | None = None
    """The next time at which a run starts."""
    last: Timestamp | None = None
    """The last time for which a run was started."""
