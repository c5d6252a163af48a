"""Finds the result of an earlier run by its key.

The keys stand in the runs' status, and an index of them follows the runs' watch: that a lookup
finds nothing costs no request. What it finds is read again before it is used; a stale index only
means that a job runs. Results never leave their namespace.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradient_operator.controllers.ledger import load_jobs
from gradient_operator.controllers.records import RunView
from gradient_operator.engine.model import Found, JobPhase, OutputRecord, RunPhase
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class ResultIndex:
    """The ended runs that hold results with keys, by namespace and key."""

    runs: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """Name of the run to the job."""

    def changed(self, old: RunView | None, new: RunView | None) -> None:
        """Take a change of a run over."""
        before = old.results if old is not None else {}
        after = new.results if new is not None and not new.deleting else {}
        if before == after:
            return
        for key in before.keys() - after.keys():
            self._drop(old, key)
        for key, job in after.items():
            if new is not None:
                self.runs.setdefault((new.namespace, key), {})[new.name] = job

    def _drop(self, view: RunView | None, key: str) -> None:
        if view is None:
            return
        found = self.runs.get((view.namespace, key), {})
        found.pop(view.name, None)
        if not found:
            self.runs.pop((view.namespace, key), None)

    async def find(self, client: KubeClient, *, namespace: str, key: str) -> Found | None:
        """A result with this key that is still there; None: there is none.

        Raises:
            KubeError: the API server does not answer.
        """
        for run, job in sorted(self.runs.get((namespace, key), {}).items()):
            found = await _read(client, namespace=namespace, run=run, job=job, key=key)
            if found is not None:
                return found
        return None


async def _read(
    client: KubeClient, *, namespace: str, run: str, job: str, key: str
) -> Found | None:
    """The result as the run has it now, if its dataset versions are still there."""
    try:
        body = await client.get(RUNS, name=run, namespace=namespace)
        status: Mapping[str, Any] = body.get("status") or {}
        record = load_jobs(status).get(job)
        ended = RunPhase(status.get("phase", "Pending")).final
        if not ended or record is None or record.phase is not JobPhase.SUCCEEDED:
            return None
        if record.key != key:
            return None
        for output in record.outputs.values():
            await _check(client, namespace, output)
    except NotFound:
        return None
    return Found(record.source or f"{run}/{job}", record.outputs)


async def _check(client: KubeClient, namespace: str, output: OutputRecord) -> None:
    """A version that retention has deleted is not handed on.

    Raises:
        NotFound: it is gone.
    """
    if output.version is None:
        return
    name = output.version.replace(":", "-")
    version = await client.get(DATASET_VERSIONS, name=name, namespace=namespace)
    if "deletionTimestamp" in version["metadata"]:
        raise NotFound(f"{output.version} is being deleted")
