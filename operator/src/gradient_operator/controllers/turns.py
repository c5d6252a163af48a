"""Turns of concurrency groups: lets a run start, wait or end as `engine.concurrency` decides.

There is no lock: a start is decided on what the API server says at that moment, and is recorded in
the run's status, on exactly the version that was looked at, before the first Pod is made.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from gradient_operator.api import names
from gradient_operator.controllers import run_status
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.runs_under_way import list_under_way
from gradient_operator.controllers.services import Key, NotLeading, Services
from gradient_operator.engine import suspension
from gradient_operator.engine.concurrency import Member, Start, Superseded, Turn, Wait, decide
from gradient_operator.engine.model import RunPhase
from gradient_operator.kube.errors import Conflict
from gradient_operator.kube.recorder import ObjectReference
from gradient_operator.kube.resources import RUNS


class Turns:
    """Looks after the groups; `write` patches the status of a run."""

    def __init__(
        self,
        services: Services,
        runs: Mapping[tuple[str, str], RunView],
        write: Callable[[RunView, Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        self._services = services
        self._runs = runs
        self._write = write
        self._groups: dict[tuple[str, str], set[str]] = {}
        """The names of the runs of a group that have not ended, by namespace and group."""

    def changed(self, old: RunView | None, new: RunView | None) -> list[Key]:
        """Take over a change of a run; answers whose turn it may be because of it."""
        others: dict[Key, None] = {}
        for view in (old, new):
            if view is None or not view.group:
                continue
            place = view.namespace, view.group
            members = self._groups.setdefault(place, set())
            if view is new and not view.final:
                members.add(view.name)
            else:
                members.discard(view.name)
            others |= {Key("run", view.namespace, name): None for name in members}
            if not members:
                del self._groups[place]
        return [key for key in others if new is None or key.name != new.name]

    async def ask(self, view: RunView) -> RunView | None:
        """Whether a run that has not started may start: the run as it is now, else None.

        None says that the status tells what it waits for, or why it has ended.

        Raises:
            KubeError: the API server does not answer; try again.
        """
        if view.cancel:
            reason = view.spec.get("cancelReason") or "cancelled before its turn came"
            await self._end(view, str(reason))
            return None
        turn = decide(_member(view), [_member(other) for other in self._known(view)])
        if not isinstance(turn, Wait):
            members = await self._members(view)
            if view.uid not in members:
                raise Conflict(f"run {view.name} has changed meanwhile")
            view = members.pop(view.uid)
            turn = decide(_member(view), [_member(other) for other in members.values()])
        return await self._follow(view, turn)

    async def _follow(self, view: RunView, turn: Turn) -> RunView | None:
        match turn:
            case Wait(run):
                await self._queue(view, run)
                return None
            case Superseded():
                await self._end(view, _why(view, turn))
                return None
            case Start():
                return view

    async def make_way(self, view: RunView) -> None:
        """Cancel a run under way if a newer one of its group says so."""
        if not view.group or view.cancel:
            return
        known = [_member(other) for other in self._known(view)]
        turn = decide(_member(view, started=True), known)
        if not isinstance(turn, Superseded):
            return
        if not self._services.is_leader():
            raise NotLeading
        body = {
            "metadata": {"uid": view.uid},
            "spec": {"cancel": True, "cancelReason": _why(view, turn)},
        }
        await self._services.client.merge_patch(
            RUNS, body, name=view.name, namespace=view.namespace
        )

    def waited(self, view: RunView) -> None:
        """Count the wait of a run that has just got its turn."""
        if view.phase is RunPhase.PENDING and view.created_at is not None:
            seconds = max(0.0, self._services.clock() - view.created_at)
            self._services.metrics.run_wait_concurrency_seconds.observe(seconds)

    def _known(self, view: RunView) -> Iterable[RunView]:
        for name in self._groups.get((view.namespace, view.group), ()):
            other = self._runs.get((view.namespace, name))
            if other is None or other.uid == view.uid or other.final:
                continue
            if other.group == view.group:
                yield other

    async def _members(self, view: RunView) -> dict[str, RunView]:
        """The group's runs that have not ended, by UID, as they are now."""
        views = await list_under_way(self._services.client, namespace=view.namespace)
        return {each.uid: each for each in views if each.group == view.group}

    async def _queue(self, view: RunView, run: str) -> None:
        text = f"waits for run {run}: concurrency group {view.group!r} has one at a time"
        if view.status.get("message") == text:
            return
        status = run_status.unstarted(
            view,
            phase=RunPhase.PENDING,
            reason="Queued",
            message=text,
            now=self._services.clock(),
        )
        await self._write(view, status)
        self._tell(view, "RunQueued", text)

    async def suspend(self, view: RunView) -> None:
        """Say of a valid run that has not started that it is suspended; its place is free."""
        text = suspension.message({})
        if view.status.get("message") == text:
            return
        now = self._services.clock()
        status = run_status.unstarted(
            view, phase=RunPhase.PENDING, reason=suspension.REASON, message=text, now=now
        )
        await self._write(view, status)
        self._tell(view, "RunSuspended", text)

    async def _end(self, view: RunView, why: str) -> None:
        status = run_status.unstarted(
            view,
            phase=RunPhase.CANCELLED,
            reason="Cancelled",
            message=why,
            now=self._services.clock(),
        )
        await self._write(view, status)
        self._tell(view, "RunCancelled", why)

    def _tell(self, view: RunView, reason: str, note: str) -> None:
        run = ObjectReference(names.API_VERSION, "GradientRun", view.name, view.namespace, view.uid)
        self._services.recorder.record(run, type="Normal", reason=reason, note=note)


def _member(view: RunView, *, started: bool = False) -> Member:
    return Member(
        uid=view.uid,
        name=view.name,
        created_at=view.created_at or 0.0,
        started=started or view.phase is RunPhase.RUNNING,
        queued=view.phase is RunPhase.PENDING,
        leaving=view.cancel or view.deleting or view.suspended,
        cancels=view.cancel_in_progress,
    )


def _why(view: RunView, turn: Superseded) -> str:
    how = "cancels what is in progress" if turn.in_progress else "waits in its place"
    return f"superseded by run {turn.run}, which {how} in concurrency group {view.group!r}"
