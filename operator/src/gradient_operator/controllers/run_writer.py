"""Writes the statuses of runs, beside the way from one job to the next.

A look at a run says that there is something to write; a worker of another queue writes it: the end
of a run at once, everything else once a second or less often, each time what is true by then. The
status is the ledger: nothing that it must hold first (pins, volumes) waits for this.
"""

import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from gradient_operator.controllers import run_status
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_release import Releaser
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Key, NotLeading, Services
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.resources import RUNS
from gradient_operator.kube.statuses import latest, patch_status

PAUSE: Final = 1.0
"""Seconds between two writes of one run's status, except for its end."""
WIDE: Final = 200
"""Jobs above which it is written less often in proportion: the API server reads all of it anew."""
FIRST_PAUSE: Final = 0.5
"""Seconds that a new run's first write waits: a run of one short job then needs only one."""

RATE: Final = 10.0
"""Statuses of all runs, ends apart, that are written in a second: in a crowd each waits longer."""
LONGEST: Final = 60.0
"""Seconds that news waits at most, however large the crowd is."""


class StatusWriter:
    """Looks after the statuses of the runs in `states`; `queue` is its own, of their keys."""

    def __init__(
        self,
        services: Services,
        *,
        runs: Mapping[tuple[str, str], RunView],
        states: MutableMapping[Key, RunState],
        queue: KeyedQueue[Key],
        releaser: Releaser,
    ) -> None:
        self._services = services
        self._runs = runs
        self._states = states
        self._queue = queue
        self._releaser = releaser

    def ask(self, key: Key, state: RunState) -> None:
        """Have the status of a run written in time; `key` is that of the run."""
        key = key._replace(controller="status")
        if state.phase.final:
            self._queue.add(key, urgent=True)
            return
        now, crowd = time.monotonic(), min(self._queue.delayed / RATE, LONGEST)
        pause = PAUSE * max(1.0, len(state.workflow.jobs) / WIDE)
        if state.written_at == float("-inf"):
            state.written_at = now - pause + FIRST_PAUSE
        due = max(state.written_at + pause, now + crowd if crowd > PAUSE else now)
        self._queue.add_after(key, due - now, unless_sooner=True)

    async def reconcile(self, key: Key) -> None:
        """Write what a run's status lacks, and let the Pods go whose results it holds then.

        Raises:
            KubeError: the API server did not take it; try again.
            NotLeading: this process may not write any more.
        """
        state = self._states.get(key._replace(controller="run"))
        view = self._runs.get((key.namespace, key.name))
        if state is None or view is None or view.uid != state.identity.uid or view.deleting:
            return  # the look at the run sees to it
        await self.write(view, state)
        pods = self._services.pods.of(key.namespace, key.name)
        await self._releaser.settle(
            [pod for pod in pods.values() if pod.run_uid == view.uid and state.ended(pod)]
        )

    async def write(self, view: RunView, state: RunState, *, version: str = "") -> None:
        """Write what the status lacks, now; with `version` only onto this version of the run.

        Raises:
            KubeError: the API server did not take it; try again.
            NotLeading: this process may not write any more.
        """
        services = self._services
        async with state.writing:
            status = run_status.build(state, generation=view.generation, now=services.clock())
            patch = run_status.difference(state.written, status)
            if not patch:
                return
            await self._patch(view, patch, state=state, version=version)
            state.written, state.written_at = status, time.monotonic()

    async def patch(self, view: RunView, patch: Mapping[str, Any]) -> None:
        """Merge into the status of a run that has no state.

        Raises:
            KubeError: the API server did not take it; try again.
            NotLeading: this process may not write any more.
        """
        await self._patch(view, patch)

    async def _patch(
        self,
        view: RunView,
        patch: Mapping[str, Any],
        *,
        state: RunState | None = None,
        version: str = "",
    ) -> None:
        if not self._services.is_leader():
            raise NotLeading
        writes = self._services.metrics.status_writes_total
        try:
            if version:
                written = await self._onto(view, patch, version)
            else:
                written = await patch_status(
                    self._services.client,
                    RUNS,
                    patch,
                    name=view.name,
                    namespace=view.namespace,
                    uid=view.uid,
                    version=latest(view.resource_version, state.version if state else ""),
                )
        except NotFound:
            writes.labels("GradientRun", "gone").inc()
            self._states.pop(Key("run", view.namespace, view.name), None)
            raise
        except KubeError:
            writes.labels("GradientRun", "error").inc()
            raise
        if state is not None:
            state.version = written["metadata"]["resourceVersion"]
        writes.labels("GradientRun", "ok").inc()

    async def _onto(self, view: RunView, patch: Mapping[str, Any], version: str) -> dict[str, Any]:
        """Write onto exactly this version: whatever has changed, the decision is void."""
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        return await self._services.client.merge_patch(
            RUNS, body, name=view.name, namespace=view.namespace, subresource="status", brief=True
        )
