"""Follows a run to its end: a live graph in a terminal, a line per change elsewhere.

It asks for the run once a second: that is one request for one object, and unlike a watch it needs
no care when connections break.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from rich.text import Text

from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.output.follow_view import FollowView, view_for
from gradient_operator.cli.output.run_view import RunView, run_view
from gradient_operator.cli.transfers import HELPERS, transfers
from gradient_operator.kube.errors import KubeError, NotFound
from gradient_operator.kube.resources import RUNS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rich.console import Console

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.datasets.progress_log import Transfer

INTERVAL: Final = 1.0
"""Seconds between two looks at the run."""
TRANSFERS_INTERVAL: Final = 5.0
"""Seconds between two looks at the logs of jobs that fetch or upload; they say so as often."""
PATIENCE: Final = 15.0
"""Seconds without any status after which the operator itself is the suspect."""

_UNSEEN: Final = (
    "The operator has not looked at this run yet. Is it running? "
    "kubectl get pods -A -l app.kubernetes.io/name=gradient-operator"
)
_RESULTS: Final = {
    "Succeeded": ExitCode.SUCCEEDED,
    "Failed": ExitCode.FAILED,
    "Cancelled": ExitCode.CANCELLED,
}


async def follow_run(
    cluster: Cluster,
    name: str,
    console: Console,
    *,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> ExitCode:
    """Show the run until it has ended and return its result as an exit code.

    Ctrl-C ends the following, not the run, and says how to go on.

    Raises:
        CommandError: the run does not exist, or was deleted meanwhile.
        KubeError: the cluster refuses to show it.
    """
    view = view_for(console, clock)
    try:
        with view:
            run = await _until_final(cluster, name, view, pause=pause, clock=clock)
    except asyncio.CancelledError:
        place = f"-n {cluster.namespace}"
        console.print("The run goes on. Follow it again:", f"gradient show {name} {place} -f")
        console.print("Stop it:", f"gradient cancel {name} {place}")
        raise
    view.end(run)
    return _RESULTS[run.phase]


async def _until_final(
    cluster: Cluster,
    name: str,
    view: FollowView,
    *,
    pause: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> RunView:
    began: float | None = clock()
    moving: Mapping[str, Transfer] = {}
    asked_at = float("-inf")
    while True:
        run = await _look(cluster, name, view)
        if run is not None:
            if view.draws and clock() - asked_at >= TRANSFERS_INTERVAL:
                moving, asked_at = await transfers(cluster, run.jobs), clock()
            phases = {job.name: job.phase for job in run.jobs}
            # What was said a moment ago of a job that has gone on since is over.
            moving = {name: said for name, said in moving.items() if phases[name] in HELPERS}
            view.update(run, moving)
            if run.final:
                return run
        if run is not None and run.seen:
            began = None
        elif began is not None and clock() - began > PATIENCE:
            began = None  # said once
            view.note(Text(_UNSEEN))
        await pause(INTERVAL)


async def _look(cluster: Cluster, name: str, view: FollowView) -> RunView | None:
    """The run as it is now; None while the cluster does not answer."""
    try:
        return run_view(await cluster.client.get(RUNS, name=name, namespace=cluster.namespace))
    except NotFound:
        raise CommandError(
            f"There is no run {name!r} in namespace {cluster.namespace} (any more). "
            "See 'gradient runs'."
        ) from None
    except KubeError as error:
        if not error.retryable:
            raise
        view.note(Text(f"The cluster does not answer ({error.message}); trying again."))
        return None
