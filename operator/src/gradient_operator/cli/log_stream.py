"""Finds the Pods of a run's jobs and prints their logs; with several jobs at the same time."""

from __future__ import annotations

import asyncio
import difflib
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import (
    CONTAINER_MAIN,
    GROUP,
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_RUN_UID,
)
from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.output.run_view import JobView, RunView, run_view
from gradient_operator.cli.output.text import FINAL
from gradient_operator.kube.errors import Invalid, NotFound, Unreachable
from gradient_operator.kube.resources import PODS, RUNS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.options import Target

INTERVAL: Final = 1.5
"""Seconds between two looks for new Pods, and between two attempts to read a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which logs were asked for."""

    run: str
    job: str | None = None
    attempt: int | None = None
    container: str = "main"
    follow: bool = False


@dataclass(frozen=True, slots=True)
class JobPod:
    """The Pod of one attempt of a job."""

    name: str
    job: str
    attempt: int


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _remark(text: str) -> None:
    print(text, file=sys.stderr)


@dataclass(slots=True)
class Printer:
    """Where lines and remarks go; with `labelled` every line begins with its job's name."""

    labelled: bool = False
    out: Callable[[bytes], None] = _write
    remark: Callable[[str], None] = _remark

    def line(self, job: str, line: bytes) -> None:
        """Print a line of a job's log as it is."""
        self.out(f"[{job}] ".encode() + line if self.labelled else line)


async def print_logs(selection: Selection, target: Target) -> int:
    """Print the logs that were asked for."""
    from gradient_operator.cli.cluster import connect

    async with connect(target) as cluster:
        try:
            await Logs(cluster, selection, Printer()).run()
        except LogsGone as gone:
            await _print_archived(cluster, selection, target, gone)
    return ExitCode.SUCCEEDED


async def _print_archived(
    cluster: Cluster, selection: Selection, target: Target, gone: LogsGone
) -> None:
    """Print what the archive has of the run's logs.

    Raises:
        LogsGone: it has nothing either, or cannot be read.
    """
    from gradient_operator.cli.archive import archived_run, read_logs

    if selection.container != CONTAINER_MAIN:
        raise gone
    found = await archived_run(cluster, target, run=selection.run, missing=gone)
    bases = {job.name: job.base for job in run_view(found.run).jobs}
    chosen = {
        log.job: log
        for log in sorted(found.logs, key=lambda log: log.attempt)
        if selection.job in {None, log.job, bases.get(log.job)}
        and selection.attempt in (None, log.attempt)
    }
    if not chosen:
        raise gone
    printer = Printer(labelled=len(chosen) > 1)
    texts = await read_logs(cluster, target, list(chosen.values()))
    for log, text in zip(chosen.values(), texts, strict=True):
        if log.truncated:
            printer.remark(f"{log.job}: only the end of the log was archived")
        for line in text.splitlines():
            printer.line(log.job, line)


class LogsGone(CommandError):
    """The cluster has no such run, or no log of it any more; the archive may."""


class Logs:
    """One call of `gradient logs`."""

    def __init__(
        self,
        cluster: Cluster,
        selection: Selection,
        printer: Printer,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster, self._wanted, self._printer = cluster, selection, printer
        self._pause = pause
        self._run: RunView
        self._uid = ""
        self._ended = False

    async def run(self) -> None:
        """Print what there is, and with `follow` what is still to come.

        Raises:
            CommandError: there is no such run or job, or no log of it is left.
        """
        try:
            await self._look()
        except CommandError as missing:
            raise LogsGone(str(missing)) from None
        self._check_job()
        self._printer.labelled = len(self._jobs()) > 1
        if self._wanted.follow:
            await self._follow()
            return
        pods = await self._pods()
        if not pods:
            raise LogsGone(self._nothing())
        for pod in pods:
            await self._print(pod)

    async def _look(self) -> None:
        hint = "List them with 'gradient runs'."
        found = await self._cluster.find(RUNS, self._wanted.run, hint=hint)
        self._uid, self._run = found["metadata"]["uid"], run_view(found)

    def _jobs(self) -> list[JobView]:
        """The jobs that were asked for: all, one, or all combinations of one."""
        wanted = self._wanted.job
        return [job for job in self._run.jobs if wanted in {None, job.name, job.base}]

    def _check_job(self) -> None:
        job, known = self._wanted.job, [job.name for job in self._run.jobs]
        if job is None or self._jobs():
            return
        near = difflib.get_close_matches(job, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its jobs: {', '.join(known)}."
        raise CommandError(f"Run {self._wanted.run} has no job {job!r}: {hint}")

    async def _pods(self) -> list[JobPod]:
        """The Pods to read: of each job the attempt asked for, or its last one."""
        listed = await self._cluster.client.list_all(
            PODS,
            namespace=self._cluster.namespace,
            label_selector=f"{LABEL_RUN_UID}={self._uid}",
        )
        names = {job.name for job in self._jobs()} if self._wanted.job is not None else None
        chosen: dict[str, JobPod] = {}
        for pod in sorted((_job_pod(item) for item in listed.items), key=lambda pod: pod.attempt):
            asked = names is None or pod.job in names
            if asked and self._wanted.attempt in (None, pod.attempt):
                chosen[pod.job] = pod
        order = {job.name: index for index, job in enumerate(self._run.jobs)}
        return sorted(chosen.values(), key=lambda pod: order.get(pod.job, len(order)))

    def _nothing(self) -> str:
        """Why there is no log."""
        wanted, run = self._wanted, self._run
        job = next((job for job in run.jobs if job.name == wanted.job), None)
        if job is not None and (job.attempt or 0) < (wanted.attempt or 1):
            number = f"attempt {wanted.attempt} of job" if wanted.attempt else "job"
            return f"There is no log: {number} {job.name} has not started ({job.phase})."
        if job is None and not any(job.attempt for job in run.jobs):
            return f"There is no log: no job of run {run.name} has started. See why: {_show(run)}"
        return (
            "There is no log any more: the Pods of the run are gone. What is left of a failed "
            f"job's last lines: {_show(run)}"
        )

    async def _print(self, pod: JobPod) -> None:
        try:
            async for line in self._cluster.client.pod_logs(
                pod.name, namespace=self._cluster.namespace, container=self._wanted.container
            ):
                self._printer.line(pod.job, line)
        except (Invalid, NotFound) as error:
            self._printer.remark(f"{pod.job}: no log of {self._wanted.container}: {error.message}")

    async def _follow(self) -> None:
        """Read every Pod that there is and that comes, until the job or the run has ended."""
        streams: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                await self._take_up(streams, group)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the others say the same
        if not streams:
            raise CommandError(self._nothing())

    async def _take_up(
        self, streams: dict[str, asyncio.Task[None]], group: asyncio.TaskGroup
    ) -> None:
        while True:
            self._ended = self._is_ended()
            for pod in await self._pods():
                if pod.name not in streams:
                    streams[pod.name] = group.create_task(self._stream(pod))
            if self._ended:
                return
            await self._pause(INTERVAL)
            await self._look()

    def _is_ended(self) -> bool:
        attempt = self._wanted.attempt
        return self._run.final or all(
            _over(job) or (attempt is not None and job.attempt > attempt) for job in self._jobs()
        )

    async def _stream(self, pod: JobPod) -> None:
        """Follow one Pod's log; a broken stream goes on where it broke, to the second."""
        since: float | None = None
        while True:
            try:
                async for line in self._cluster.client.pod_logs(
                    pod.name,
                    namespace=self._cluster.namespace,
                    container=self._wanted.container,
                    follow=True,
                    since=None if since is None else time.monotonic() - since,
                ):
                    since = time.monotonic()
                    self._printer.line(pod.job, line)
                return
            except NotFound:
                return
            except Invalid as error:  # its container has not started yet, or never will
                if self._ended:
                    self._printer.remark(f"{pod.job}: no log: {error.message}")
                    return
            except Unreachable as error:
                self._printer.remark(f"{pod.job}: the log broke off ({error.message}); going on")
            await self._pause(INTERVAL)


def _job_pod(pod: dict[str, Any]) -> JobPod:
    metadata = pod["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    attempt = labels.get(LABEL_ATTEMPT, "0")
    return JobPod(
        name=metadata["name"],
        job=annotations.get(f"{GROUP}/job") or labels.get(LABEL_JOB, ""),
        attempt=int(attempt) if attempt.isdecimal() else 0,
    )


def _over(job: JobView) -> bool:
    return job.phase in FINAL


def _show(run: RunView) -> str:
    return f"gradient show {run.name} -n {run.namespace}"
