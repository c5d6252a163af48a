"""How far jobs are with fetching inputs and uploading outputs, out of their helpers' logs.

The operator stays out of it (docs/decisions/0001): the last lines of the helper's container are
read through the API server. Whoever may not read logs is shown nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_UPLOADER
from gradient_operator.api.sizes import size_text
from gradient_operator.datasets.progress_log import LINES, Transfer, read_line
from gradient_operator.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.output.run_view import JobView

MOST_JOBS: Final = 10
"""Jobs whose logs are read."""
HELPERS: Final = {"Starting": CONTAINER_FETCH, "Uploading": CONTAINER_UPLOADER}
"""The container whose log says it, by the phase of its job."""


def sentence(transfer: Transfer) -> str:
    """As `uploads /outputs/model: 45 % of 12.3 GiB, 130.0 MiB/s`."""
    if transfer.total and transfer.share is not None:
        done = f"{int(100 * transfer.share)} % of {size_text(transfer.total)}"
    else:
        done = f"{size_text(transfer.bytes)} so far"
    return f"{transfer.verb} {transfer.path}: {done}, {size_text(transfer.rate)}/s"


async def transfers(cluster: Cluster, jobs: Iterable[JobView]) -> dict[str, Transfer]:
    """What the jobs that fetch or upload are at, by job; jobs that say nothing are left out."""
    asked = [job for job in jobs if job.phase in HELPERS and job.pod][:MOST_JOBS]
    found = await asyncio.gather(*(_transfer(cluster, job) for job in asked))
    return {job.name: said for job, said in zip(asked, found, strict=True) if said is not None}


async def _transfer(cluster: Cluster, job: JobView) -> Transfer | None:
    last = None
    try:
        async for line in cluster.client.pod_logs(
            job.pod,
            namespace=cluster.namespace,
            container=HELPERS[job.phase],
            tail_lines=LINES,
        ):
            last = read_line(line, last)
    except KubeError:  # no such container, no right to read it, the Pod is gone
        return None
    return last
