"""Pods of attempts that are over must not begin, or go on with, work that nobody waits for.

A Pod can outlive its attempt: a request to delete it failed, or a create whose answer was lost took
effect after all. So every look asks anew which Pods have to go, instead of asking once.
"""

from collections.abc import Iterable
from typing import Final

from gradient_operator.engine.actions import DeletePod
from gradient_operator.engine.model import JobPhase, JobRecord, PodRecord

STOP_SECONDS: Final = 30
"""How long main may take to stop when nobody waits for it any more."""


def superseded(pod: PodRecord, record: JobRecord) -> bool:
    """Whether the attempt that a Pod stands for is over, as far as the ledger is concerned."""
    if record.phase.final or pod.attempt < record.attempt:
        return True
    return record.phase is JobPhase.PENDING and pod.attempt == record.attempt


def stop(pods: Iterable[PodRecord], grace: int = STOP_SECONDS) -> list[DeletePod]:
    """Deletions of those Pods whose main runs or may still start; `grace` in seconds.

    One whose main has ended stays: its logs are wanted, and its upload ends by itself.
    """
    return [DeletePod(pod.name, pod.uid, grace) for pod in pods if _may_run(pod, grace)]


def _may_run(pod: PodRecord, grace: int) -> bool:
    if pod.terminal or pod.main_ended:
        return False
    if pod.fetch is not None and pod.fetch.terminated and pod.fetch.exit_code != 0:
        return False
    return not pod.deleting or pod.deletion_grace > grace
