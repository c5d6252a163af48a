"""Reconciles runs: observe, plan, apply. What it comes to is written beside it, by `run_writer`.

Pods are created before the status is written (their names make that safe); a Pod is released only
after the status that holds its result was acknowledged.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from gradient_operator.controllers import (
    node_health,
    pod_events,
    run_hold,
    run_observation,
    run_places,
    run_start,
    run_status,
    transitions,
)
from gradient_operator.controllers.pinning import StartRefused
from gradient_operator.controllers.places import PlaceKeeper
from gradient_operator.controllers.records import RunView, project_pod, project_run
from gradient_operator.controllers.run_apply import Applier
from gradient_operator.controllers.run_release import Releaser
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.run_writer import StatusWriter
from gradient_operator.controllers.runs_under_way import list_under_way
from gradient_operator.controllers.services import Key, NotLeading, Services
from gradient_operator.controllers.storage import StorageProbe
from gradient_operator.controllers.turns import Turns
from gradient_operator.engine import leftovers
from gradient_operator.engine.actions import Plan
from gradient_operator.engine.model import Failure, FailureClass, PodRecord, RunPhase
from gradient_operator.engine.planner import plan
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.resources import PODS, RUNS

logger = logging.getLogger(__name__)

_ROUNDS: Final = 16
"""Plans in one look: each one after the first follows an action that changed what is known."""


class RunController:
    """Looks after all runs; `runs` is the reflector's live view."""

    def __init__(
        self,
        services: Services,
        *,
        runs: Mapping[tuple[str, str], RunView],
        applier: Applier,
        probe: StorageProbe,
        writes: KeyedQueue[Key],
        releaser: Releaser,
        places: PlaceKeeper | None = None,
    ) -> None:
        self._services = services
        self._runs = runs
        self._applier = applier
        self._probe = probe
        self._releaser = releaser
        self._places = places
        self._states: dict[Key, RunState] = {}
        self._doubtful: set[str] = set()
        """UIDs of runs that may have ended, or gone, without the cache knowing it yet."""
        self.writer = StatusWriter(
            services, runs=runs, states=self._states, queue=writes, releaser=releaser
        )
        self.turns = Turns(services, runs, self.writer.patch)
        probe.watch(self._endpoints)

    def _endpoints(self) -> set[str]:
        """The storage endpoints of the runs under way."""
        return {state.storage.endpoint for state in self._states.values() if state.storage}

    def affected_by_storage(self, endpoint: str) -> list[Key]:
        """The runs under way that use an endpoint."""
        return [
            key
            for key, state in self._states.items()
            if state.storage is not None and state.storage.endpoint == endpoint
        ]

    def active(self) -> list[Key]:
        """All runs under way, for when a definition changed that any of them may wait for."""
        return list(self._states)

    def wrote(self, old: RunView | None, new: RunView | None) -> bool:
        """Whether a change of a run is but the status that was written here: no reason to look."""
        if old is None or new is None or new.final or replace(new, phase=old.phase) != old:
            return False
        state = self._states.get(Key("run", new.namespace, new.name))
        return state is not None and state.identity.uid == new.uid

    def ended(self, view: RunView, phase: RunPhase) -> None:
        """Tell of the end of a run, once the cache knows it: a write may be done and not heard of.

        `view` is the run's record, the first one that is final.
        """
        state = self._states.get(Key("run", view.namespace, view.name))
        known = state is not None and state.identity.uid == view.uid
        transitions.run_ended(self._services, view, phase, state=state if known else None)

    async def reconcile(self, key: Key) -> None:
        """Look at one run; what it was given and did not use is given to others afterwards.

        Raises:
            KubeError: something could not be done now; look again.
            NotLeading: this process may not write any more.
        """
        try:
            await self._look(key)
        finally:
            if self._places is not None:
                run = (key.namespace, key.name)
                over = key not in self._states
                self._places.forget(run) if over else self._places.settle(run)

    async def _look(self, key: Key) -> None:
        """Look at one run.

        Raises:
            KubeError: something could not be done now; look again.
            NotLeading: this process may not write any more.
        """
        view = self._runs.get((key.namespace, key.name))
        pods = self._services.pods.of(key.namespace, key.name)
        if view is not None and view.deleting:
            await self._stop(pods.values())
        await self._release_strangers(key, view, pods)
        if view is None or view.deleting:
            self._states.pop(key, None)
            if view is not None:
                await self._let_run_go(view)
            return
        if view.final:
            await self._let_go(pods.values())
            await self._let_run_go(view)
            if await self._applier.drop_claims(self._states.get(key)):
                self._states.pop(key, None)
            return
        state = self._states.get(key)
        if state is None or state.identity.uid != view.uid:
            self._states.pop(key, None)  # that of an earlier run of this name
            found = await self._begin(await self._fresh(view))
            if found is None:
                return
            view, state = found
            self._states[key] = state
        if (wait := state.pace.wait(view.resource_version)) > 0:
            self._services.queue.add_after(key, wait)
            return
        await self.turns.make_way(view)
        await self._advance(key, view, state)
        if state.gave_way:
            self._services.queue.add(key)  # behind those that wait, and without a rest
        else:
            state.pace.looked(view.resource_version)

    async def _begin(self, view: RunView) -> tuple[RunView, RunState] | None:
        """Begin a run, or take it up again; None if it waits, or can never start."""
        in_turn = bool(view.group) and view.phase is not RunPhase.RUNNING
        try:
            unstarted = view.phase is not RunPhase.RUNNING
            if unstarted and view.suspended and not view.cancel:
                run_start.check(view)
                await self.turns.suspend(view)
                return None
            if in_turn:
                run_start.check(view)
                if (asked := await self.turns.ask(view)) is None:
                    return None
                view = asked
            state = await run_start.begin(self._services, view)
        except StartRefused as refused:
            await self._refuse(view, refused)
            return None
        if state.storage is not None:
            await self._probe.know(state.storage.endpoint)
        if in_turn:
            await self.writer.write(view, state, version=view.resource_version)
            self.turns.waited(view)
        return view, state

    async def catch_up(self, assume: Callable[[RunView], None]) -> None:
        """Learn what the leader before may have written since: once, before the first look.

        `assume` takes over what is newer than the cache.

        Raises:
            KubeError: the API server does not answer; try again.
        """
        listed = await list_under_way(
            self._services.client, namespace=self._services.config.watch_namespace
        )
        going = {view.uid: view for view in listed}
        for view in going.values():
            known = self._runs.get((view.namespace, view.name))
            if known is None or known.resource_version != view.resource_version:
                assume(view)
        self._doubtful = {
            view.uid for view in self._runs.values() if not view.final and view.uid not in going
        }

    async def _fresh(self, view: RunView) -> RunView:
        """The run as it is now, if it may have ended without the cache knowing."""
        if view.uid not in self._doubtful:
            return view
        run = await self._services.client.get(RUNS, name=view.name, namespace=view.namespace)
        fresh = project_run(run)
        if fresh.uid != view.uid or fresh.final:
            raise Conflict(f"run {view.name} has changed meanwhile")
        self._doubtful.discard(view.uid)
        return fresh

    async def _release_strangers(
        self, key: Key, view: RunView | None, pods: Mapping[str, PodRecord]
    ) -> None:
        """Pods of a run that is gone, or of an earlier one of this name, must not hang."""
        alive = view.uid if view is not None and not view.deleting else ""
        strangers = [pod for pod in pods.values() if pod.run_uid != alive]
        if strangers and view is None and await self._exists(key):
            return  # its watch is behind that of the Pods
        await self._releaser.now(strangers)
        # Garbage collection gives them all the time that an upload would have.
        await self._stop(pod for pod in strangers if pod.deleting)

    async def _exists(self, key: Key) -> bool:
        try:
            await self._services.client.get(RUNS, name=key.name, namespace=key.namespace)
        except NotFound:
            return False
        return True

    async def _let_run_go(self, view: RunView) -> None:
        if not view.held:
            return
        if not self._services.is_leader():
            raise NotLeading
        await run_hold.let_go(self._services.client, view)

    async def _hold(self, view: RunView, state: RunState) -> None:
        """Put the finalizer on a run that needs it, before the first Pod is made."""
        if state.held or view.held or not run_hold.needs_hold(state):
            return
        if not self._services.is_leader():
            raise NotLeading
        await run_hold.hold(self._services.client, view)
        state.held = True

    async def _let_go(self, pods: Iterable[PodRecord]) -> None:
        """Release the Pods of a run that has ended, and stop what should not be there."""
        await self._stop(pods)
        await self._releaser.settle(pods)

    async def _stop(self, pods: Iterable[PodRecord]) -> None:
        found = list(pods)
        actions = leftovers.stop(found)
        if not actions:
            return
        if not self._services.is_leader():
            raise NotLeading
        namespace = found[0].namespace
        await asyncio.gather(*(self._applier.delete(namespace, action) for action in actions))

    async def _advance(self, key: Key, view: RunView, state: RunState) -> None:
        services = self._services
        state.noticed_at = time.monotonic()
        run_start.refresh_storage(services, state, view)
        run_start.choose_volumes(services, state)
        if not state.decisions_recorded:
            await self.writer.write(view, state)
        await self._hold(view, state)
        await self._ask(key, view, state)
        before = state.ledger
        found = await self._confirmed_plan(view, state)
        error: Exception | None = None
        failures: list[tuple[str, Failure]] = []
        for _ in range(_ROUNDS):
            self._take(view, state, found)
            failures += found.failures
            try:
                again = await self._applier.apply(state, found.actions, outdated=self._outdated)
            except NotLeading:
                raise
            except Exception as failed:  # noqa: BLE001 - raised again below
                # The status is written all the same: it says what is wrong.
                error, found = failed, await self._confirmed_plan(view, state)
                self._take(view, state, found)
                failures += found.failures
                break
            current = self._runs.get((view.namespace, view.name))
            if not again or state.gave_way:
                break
            if current is None or current.deleting or current.uid != view.uid:
                break
            view = current
            found = await self._confirmed_plan(view, state)
        else:
            services.queue.add(key)  # a long chain of results that are reused, or of models
        transitions.tell(
            services,
            state,
            before=before,
            failures=failures,
            pods=self._pods_of(view),
        )
        await self._applier.drop_claims(state)
        self.writer.ask(key, state)
        await self._releaser.now(
            pod
            for pod in services.pods.of(view.namespace, view.name).values()
            if pod.deleting and pod.run_uid == view.uid and state.ended(pod)
        )
        if found.wake_at is not None:
            services.queue.add_after(key, max(0.0, found.wake_at - services.clock()))
        if error is not None:
            raise error

    def _take(self, view: RunView, state: RunState, found: Plan) -> None:
        state.ledger, state.phase, state.message = found.ledger, found.phase, found.message
        if state.phase is RunPhase.CANCELLED:
            state.message = state.message or view.spec.get("cancelReason") or ""

    def _pods_of(self, view: RunView) -> dict[tuple[str, int], PodRecord]:
        pods = self._services.pods.of(view.namespace, view.name)
        return {(pod.job, pod.attempt): pod for pod in pods.values() if pod.run_uid == view.uid}

    def _plan(self, view: RunView, state: RunState) -> Plan:
        now, state.planned = self._services.clock(), view.generation
        state.suspension = state.suspension.seen(suspended=view.suspended, now=now)
        endpoint = state.storage.endpoint if state.storage is not None else ""
        keeper = self._places
        with state.pace.planning(len(state.ledger)):
            seen = run_observation.observe(
                self._services,
                view,
                state,
                pods=self._pods_of(view),
                storage_problem=state.storage_error or self._probe.problem(endpoint),
                places=keeper.places((view.namespace, view.name)) if keeper is not None else None,
                now=now,
            )
            found = plan(seen, now)
            if keeper is None:
                return found
            return run_places.placed(self._services, keeper, view, seen=seen, found=found, now=now)

    def _outdated(self, state: RunState) -> bool:
        """Whether the run was changed since it was planned: cancelled, suspended, deleted."""
        view = self._runs.get((state.identity.namespace, state.identity.name))
        return view is None or view.generation != state.planned

    async def _ask(self, key: Key, view: RunView, state: RunState) -> None:
        """Ask about Pods of which the API server alone does not tell enough."""
        services, pods = self._services, self._pods_of(view).values()
        pauses = [
            await pod_events.ask(services, state, pods, now=services.clock()),
            await node_health.ask(services.client, state, pods, now=services.clock()),
        ]
        for pause in pauses:
            if pause is not None:
                services.queue.add_after(key, pause)

    async def _confirmed_plan(self, view: RunView, state: RunState) -> Plan:
        """A Pod that the cache lacks may only be late: ask before an attempt is given up."""
        found = self._plan(view, state)
        lost = [job for job, failure in found.failures if failure.kind is FailureClass.LOST]
        back = False
        for job in lost:
            name = state.ledger[job].pod
            if name is None:
                continue
            try:
                pod = await self._services.client.get(PODS, name=name, namespace=view.namespace)
            except NotFound:
                continue  # lost indeed: the plan stands
            record = project_pod(pod)
            if record.uid == state.ledger[job].pod_uid:
                self._services.assume_pod(record)
                back = True
        return self._plan(view, state) if back else found

    async def _refuse(self, view: RunView, refused: StartRefused) -> None:
        reason, message, now = refused.reason, str(refused), self._services.clock()
        status = run_status.refused(
            view.status, reason=reason, message=message, generation=view.generation, now=now
        )
        await self.writer.patch(view, status)
