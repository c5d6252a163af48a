from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from gradient_operator.datasets.pool import Cancellation, TransferPool
from gradient_operator.datasets.progress import Progress, ProgressMeter


def test_pool_never_runs_more_than_its_concurrency() -> None:
    running: list[int] = []
    highest = [0]
    lock = threading.Lock()
    meet = threading.Barrier(3)

    def task() -> None:
        with lock:
            running.append(1)
            highest[0] = max(highest[0], len(running))
        meet.wait(30)
        with lock:
            running.pop()

    with TransferPool(3) as pool:
        for _ in range(12):
            pool.submit(task)
        pool.drain()

    assert highest[0] == 3


def test_first_failure_reaches_the_producer() -> None:
    ran = []

    def fail() -> None:
        raise OSError("first")

    with TransferPool(2) as pool:
        pool.submit(fail)
        with pytest.raises(OSError, match="first"):
            pool.drain()
        with pytest.raises(OSError, match="first"):
            pool.submit(lambda: ran.append(1))
    assert not ran


def test_cancellation_keeps_the_first_error() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel(ValueError("why"))
    cancellation.cancel(OSError("late"))

    with pytest.raises(ValueError, match="why"):
        cancellation.check()
    with pytest.raises(ValueError, match="why"):
        cancellation.pause(3600)


def test_meter_counts_and_reports_at_most_once_per_interval() -> None:
    seen: list[Progress] = []
    rare = ProgressMeter(seen.append, total=10, interval=3600)
    rare.add(files=1, size=4)
    assert seen == []
    assert replace(rare.value, seconds=0) == Progress(files=1, bytes=4, total=10)

    often = ProgressMeter(seen.append, interval=0)
    often.add(size=5)
    often.add(files=1, size=5)
    assert replace(seen[-1], seconds=0) == Progress(files=1, bytes=10, total=None)
