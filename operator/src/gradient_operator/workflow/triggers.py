"""What `on` and `concurrency` say is checked here; what starts a run is decided by `trigger_of`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gradient_operator.api.workflow import WorkflowInput, WorkflowSpec
from gradient_operator.workflow import branches, cron, group, manual
from gradient_operator.workflow.state import Compilation

_ANY_TIME: Final = 1_767_225_600.0
"""2026-01-01: a schedule is valid or not, whenever it is looked at."""


@dataclass(frozen=True, slots=True)
class TriggerInForce:
    """What starts runs of a workflow; reason and sentence are those of the condition `Trigger`."""

    kind: Literal["Spec", "Schedule", "Manual"]
    reason: str
    message: str


def check(state: Compilation, *, own: Mapping[str, WorkflowInput]) -> None:
    """Note what is wrong with the triggers; `own` are the `inputs` as the file has them."""
    manual.check(state, own=own)
    group.check(state)
    branches.check(state)
    on = state.file.on
    if on is None or on.schedule is None:
        return
    if not on.schedule:
        text = "has no entry: write `- cron: '30 6 * * *'` below it, or remove it"
        state.error(("on", "schedule"), text, "bad-schedule")
    for index, schedule in enumerate(on.schedule):
        try:
            cron.check(schedule, now=_ANY_TIME)
        except cron.ScheduleProblem as problem:
            path = ("on", "schedule", index, problem.field)
            state.error(path, str(problem), "bad-schedule")
    _check_nobody_is_asked(state, own)


def _check_nobody_is_asked(state: Compilation, own: Mapping[str, WorkflowInput]) -> None:
    text = "needs a value, but a run that `on.schedule` starts has nobody to give it: "
    for name, item in own.items():
        if item.with_ is None and not item.optional:
            state.error(("inputs", name), f"{text}add a default under `with`", "scheduled-input")
    for name, asked in manual.asked_for(state.file).items():
        if asked.required and asked.default is None:
            path = ("on", "manual", "inputs", name)
            state.error(path, f"{text}add a `default`", "scheduled-input")


def trigger_of(spec: WorkflowSpec) -> TriggerInForce:
    """What starts runs of a valid workflow."""
    on = spec.on
    scheduled = on is not None and bool(on.schedule)
    if spec.suspend:
        text = (
            "suspended: nothing but gradient run NAME starts a run until spec.suspend is false "
            "again (gradient resume --workflow NAME)"
        )
        return TriggerInForce("Manual", "Suspended", text)
    if spec.policy is not None and spec.policy.start == "Manual":
        stopped = "; policy.start: Manual stops its schedule" if scheduled else ""
        text = f"runs are started by hand: gradient run NAME{stopped}"
        return TriggerInForce("Manual", "Manual", text)
    if scheduled:
        text = "a run starts at each time of on.schedule; a changed file alone starts none"
        return TriggerInForce("Schedule", "Schedule", text)
    if on is not None and on.manual is not None:
        text = (
            "on.manual: runs are started by hand: gradient run NAME; "
            "a changed file alone starts none"
        )
        return TriggerInForce("Manual", "ManualTrigger", text)
    open_inputs = [
        name
        for name, item in (spec.inputs or {}).items()
        if item.with_ is None and not item.optional
    ]
    if open_inputs:
        which = ", ".join(open_inputs)
        text = f"a run needs a value for {which}: gradient run NAME --input {open_inputs[0]}=VALUE"
        return TriggerInForce("Manual", "InputsNeeded", text)
    return TriggerInForce("Spec", "SpecChange", "each change of its jobs starts a run")
