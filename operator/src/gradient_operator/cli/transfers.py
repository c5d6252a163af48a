"""How far jobs are with fetching inputs and uploading outputs, out of their helpers' logs.

The operator stays out of it (docs/decisions/0001): the last lines of the helper's container are
read through the API server. Whoever may not read logs is shown nothing.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_UPLOADER
from gradient_operator.api.sizes import size_text
from gradient_operator.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.output.run_view import JobView

MOST_JOBS: Final = 10
"""Jobs whose logs are read."""
_LINES: Final = 10
_HELPERS: Final = {"Starting": CONTAINER_FETCH, "Uploading": CONTAINER_UPLOADER}
_WORDS: Final = {"fetching": "fetches", "uploading": "uploads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a helper said last: bytes done and in all (None: not known), and bytes per second."""

    verb: str
    path: str
    bytes: int
    total: int | None
    rate: int

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None if that is not known."""
        return min(1.0, self.bytes / self.total) if self.total else None

    def text(self) -> str:
        """As `uploads /outputs/model: 45 % of 12.3 GiB, 130.0 MiB/s`."""
        if self.total and self.share is not None:
            done = f"{int(100 * self.share)} % of {size_text(self.total)}"
        else:
            done = f"{size_text(self.bytes)} so far"
        return f"{self.verb} {self.path}: {done}, {size_text(self.rate)}/s"

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "does": self.verb,
            "path": self.path,
            "bytes": self.bytes,
            "total": self.total,
            "bytesPerSecond": self.rate,
        }


async def transfers(cluster: Cluster, jobs: Iterable[JobView]) -> dict[str, Transfer]:
    """What the jobs that fetch or upload are at, by job; jobs that say nothing are left out."""
    asked = [job for job in jobs if job.phase in _HELPERS and job.pod][:MOST_JOBS]
    found = await asyncio.gather(*(_transfer(cluster, job) for job in asked))
    return {job.name: said for job, said in zip(asked, found, strict=True) if said is not None}


async def _transfer(cluster: Cluster, job: JobView) -> Transfer | None:
    last = None
    try:
        async for line in cluster.client.pod_logs(
            job.pod,
            namespace=cluster.namespace,
            container=_HELPERS[job.phase],
            tail_lines=_LINES,
        ):
            last = read_line(line, last)
    except KubeError:  # no such container, no right to read it, the Pod is gone
        return None
    return last


def read_line(line: bytes, before: Transfer | None = None) -> Transfer | None:
    """Read one line of a helper's log; what says nothing of a transfer leaves it as it was."""
    try:
        raw = json.loads(line)
        if raw["msg"] in {"fetched", "uploaded"}:
            return None
        verb = _WORDS[raw["msg"]]
        total = raw.get("total")
        return Transfer(
            verb=verb,
            path=str(raw["path"]),
            bytes=int(raw["bytes"]),
            total=None if total is None else int(total),
            rate=int(raw["rate"]),
        )
    except (ValueError, KeyError, TypeError):
        return before
