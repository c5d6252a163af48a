import asyncio

import pytest

from tests.bench import stage
from tests.bench.exposition import parse
from tests.bench.machine import Usage
from tests.bench.model import BenchError
from tests.bench.operator_process import Reading


async def test_failure_beside_the_work_ends_the_work():
    cancelled = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fail():
        raise BenchError("the operator ended")

    with pytest.raises(BenchError, match="the operator ended"):
        await stage.together(work(), fail())
    assert cancelled.is_set()


async def test_end_of_the_work_ends_what_runs_beside_it():
    ended = asyncio.Event()

    async def work():
        await asyncio.sleep(0)
        return 7

    async def watch():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert await stage.together(work(), watch()) == 7
    assert ended.is_set()


def reading(text, *, cpu):
    return Reading(parse(text), Usage(cpu_seconds=cpu, resident_mib=50, peak_mib=60))


def spent(own, server):
    return stage.Spent(reading("", cpu=1.0), reading(own, cpu=3.5), parse(server))


OWN = """\
gradient_operator_api_requests_total{verb="create",resource="pods",code="201"} 4
gradient_operator_api_requests_total{verb="patch",resource="gradientruns",code="200"} 2
gradient_operator_api_requests_total{verb="update",resource="leases",code="200"} 9
"""
SERVER = """\
apiserver_request_total{resource="pods",subresource="",verb="POST",code="201"} 4
apiserver_request_total{resource="pods",subresource="binding",verb="POST",code="201"} 4
apiserver_request_total{resource="pods",subresource="status",verb="PATCH",code="200"} 8
apiserver_request_total{resource="gradientruns",subresource="status",verb="PATCH",code="200"} 2
apiserver_request_body_size_bytes_sum{resource="gradientruns",verb="patch"} 2500
apiserver_request_body_size_bytes_sum{resource="gradientruns",verb="create"} 9000
"""


def test_what_the_operator_spent_is_the_difference():
    found = spent(OWN, SERVER)
    assert found.figures() == {"cpu": 2.5, "rss": 60, "rss_idle": 50, "sent": 2.5}


def test_lease_is_not_charged_to_a_load():
    assert spent(OWN, SERVER).calls() == {("create", "pods"): 4, ("patch", "gradientruns"): 2}


def test_counts_that_agree_need_no_note():
    assert spent(OWN, SERVER).notes() == ()


def test_counts_that_differ_are_noted():
    notes = spent(OWN, SERVER.replace('verb="POST",code="201"} 4', 'verb="POST",code="201"} 5', 1))
    assert notes.notes() == ("create pods: the operator counted 4, the API server 5",)


def test_refused_requests_are_noted():
    refused = 'gradient_operator_api_requests_total{verb="patch",resource="pods",code="429"} 3'
    assert "refused: patch pods 429, 3 times" in spent(OWN + refused, SERVER).notes()
