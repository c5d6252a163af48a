"""Asks for the places that a run's plan wants, and plans again with those that it was given."""

from dataclasses import replace
from typing import Final

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.places import PlaceKeeper
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.services import Key, Services
from gradient_operator.engine.actions import CreatePod, Plan
from gradient_operator.engine.model import Observation
from gradient_operator.engine.places import Rank
from gradient_operator.engine.planner import plan

_PAUSE: Final = 2.0
"""Seconds per place in a line after which a waiting run is looked at, to say how far it got …"""
_PAUSES: Final = (60.0, 3_600.0)
"""… within these bounds; nothing but what it says depends on that."""


def rank_of(config: OperatorConfig, view: RunView) -> Rank:
    """The place of a run among those that wait for the same."""
    priority = config.priority_of(view.namespace, view.priority)
    return -priority, view.created_at or 0.0, view.namespace, view.name


def placed(
    services: Services,
    keeper: PlaceKeeper,
    view: RunView,
    *,
    seen: Observation,
    found: Plan,
    now: float,
) -> Plan:
    """The plan with the places that its run is given now; `now` in seconds since the epoch."""
    run, jobs = (view.namespace, view.name), seen.workflow.jobs
    starting = [action.job for action in found.actions if isinstance(action, CreatePod)]
    wants = [(job, jobs[job].instance_type) for job in starting]
    keeper.ask(run, rank_of(services.config, view), [*wants, *found.wants])
    if not found.wants:
        return found
    places = keeper.places(run)
    if places != seen.places:
        found = plan(replace(seen, places=places), now)
    pause = min(max(_PAUSE * keeper.position(run), _PAUSES[0]), _PAUSES[1])
    services.queue.add_after(Key("run", *run), pause)
    return found
