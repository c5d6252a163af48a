import os
import subprocess
import sys

import pytest

from tests.bench import machine


def test_description_fits_this_machine():
    found = machine.describe()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_gib > 0
    assert found.commit


@pytest.mark.parametrize(("load", "busy"), [(1.9, False), (2.0, False), (2.1, True)])
def test_machine_is_busy_when_more_wants_to_run_than_there_are_cores(load, busy):
    found = machine.Machine(
        cores=2,
        processor="",
        memory_gib=1,
        kernel="",
        python="",
        commit="",
        load_average=load,
    )
    assert found.busy is busy
    assert found.dump()["busy"] is busy


def test_usage_counts_processor_time_and_memory_of_a_process():
    program = """
import sys, time
text = b"x" * 64 * 1024 * 1024
while time.process_time() < 0.2: pass
print("done", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        used = machine.usage(process.pid)
        process.communicate()
    assert used.cpu_seconds >= 0.19
    assert used.peak_mib >= used.resident_mib > 64


async def test_busy_share_is_a_share():
    assert 0.0 <= await machine.busy_share(0.05) <= 1.0


async def test_waiting_for_calm_ends_on_a_machine_that_is_never_calm(monkeypatch):
    async def always_busy():
        return 0.9

    monkeypatch.setattr(machine, "busy_share", always_busy)
    assert await machine.calm(limit=0.01) == 0.9


async def test_waiting_for_calm_ends_when_it_is_calm(monkeypatch):
    shares = iter([0.9, 0.8, 0.1, 0.0])

    async def falling():
        return next(shares)

    monkeypatch.setattr(machine, "busy_share", falling)
    assert await machine.calm(limit=60) == 0.1


def test_a_bench_waits_until_the_one_before_is_out_of_the_load_average(monkeypatch):
    loads = iter([3.0, 1.5, 0.1])
    monkeypatch.setattr(os, "getloadavg", lambda: (next(loads), 0.0, 0.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(machine, "_LOOK_SECONDS", 0.0)
    machine.wait_until_quiet()
    assert next(loads, None) is None


def test_a_bench_begins_on_a_machine_that_is_never_quiet(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 99.0, 99.0))
    machine.wait_until_quiet(limit=0.0)
