"""Reads runs that the cluster has forgotten, from the archive in object storage."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gradient_operator.cli.errors import CommandError

if TYPE_CHECKING:
    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.options import Target
    from gradient_operator.datasets.run_archive import Archived, Log


async def archived_runs(
    cluster: Cluster, target: Target, *, run: str | None = None, endpoint: str | None = None
) -> list[Archived]:
    """What the archive has of the namespace's runs, or of those of one name, newest first.

    Raises:
        CommandError: there is no archive, or no way to it.
        DatasetError: it does not answer.
    """
    from gradient_operator.cli.dataset.access import open_store
    from gradient_operator.cli.dataset.storage import find_storage
    from gradient_operator.datasets.run_archive import read_records

    storage = await find_storage(cluster, None)

    def read() -> list[Archived]:
        with open_store(storage, endpoint=endpoint, target=target) as store:
            return list(read_records(store, cluster.namespace, run))

    found = await asyncio.to_thread(read)
    return sorted(found, key=_created, reverse=True)


def _created(archived: Archived) -> str:
    return str(archived.run["metadata"].get("creationTimestamp") or "")


async def archived_run(
    cluster: Cluster, target: Target, *, run: str, missing: CommandError
) -> Archived:
    """The newest run of that name in the archive.

    Raises:
        CommandError: `missing`, where the archive has none or cannot be read.
    """
    from gradient_operator.datasets.errors import DatasetError
    from gradient_operator.kube.errors import KubeError

    try:
        found = await archived_runs(cluster, target, run=run)
    except (CommandError, KubeError, DatasetError, OSError):
        raise missing from None
    if not found:
        raise missing
    return found[0]


async def find_anywhere(
    cluster: Cluster, target: Target, name: str
) -> tuple[dict[str, Any], Archived | None]:
    """A run in the cluster or else in the archive, and what the archive has of it then.

    Raises:
        CommandError: it is in neither.
    """
    from gradient_operator.kube.resources import RUNS

    try:
        hint = "List them with 'gradient runs', with --all also archived ones."
        return await cluster.find(RUNS, name, hint=hint), None
    except CommandError as missing:
        found = await archived_run(cluster, target, run=name, missing=missing)
        return dict(found.run), found


async def read_logs(
    cluster: Cluster, target: Target, logs: list[Log], *, endpoint: str | None = None
) -> list[bytes]:
    """The texts of logs, in their order.

    Raises:
        CommandError: there is no way to the archive.
        DatasetError: it does not answer, or a log is gone.
    """
    from gradient_operator.cli.dataset.access import open_store
    from gradient_operator.cli.dataset.storage import find_storage
    from gradient_operator.datasets.run_archive import read_log

    storage = await find_storage(cluster, None)

    def read() -> list[bytes]:
        with open_store(storage, endpoint=endpoint, target=target) as store:
            return [read_log(store, log) for log in logs]

    return await asyncio.to_thread(read)


async def last_lines(
    cluster: Cluster, target: Target, archived: Archived, job: str, *, lines: int
) -> list[str]:
    """The end of an archived job's last log; empty where there is none, or it cannot be read."""
    from gradient_operator.datasets.errors import DatasetError

    logs = [log for log in archived.logs if log.job == job]
    if not logs:
        return []
    try:
        (text,) = await read_logs(cluster, target, [max(logs, key=lambda log: log.attempt)])
    except (CommandError, DatasetError, OSError):
        return []
    return text.decode(errors="replace").splitlines()[-lines:]
