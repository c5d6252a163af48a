"""What is counted when a job gets on."""

from types import SimpleNamespace

import pytest

from gradient_operator.controllers.transitions import _moved
from gradient_operator.datasets.report import TransferReport, encode_report
from gradient_operator.engine.model import ContainerRecord, PodRecord
from gradient_operator.observability.metrics import Metrics

REPORT = TransferReport(
    files=3, bytes=1000, seconds=2.5, cache_hits=4, cache_misses=1, cache_bytes=800
)


@pytest.fixture
def services():
    return SimpleNamespace(metrics=Metrics())


def pod(**containers):
    return PodRecord(
        uid="u",
        namespace="n",
        name="p",
        resource_version="1",
        run_uid="r",
        run="run",
        job="a",
        attempt=1,
        **containers,
    )


def value(services, name, **labels):
    return services.metrics.registry.get_sample_value(f"gradient_operator_{name}", labels)


def test_what_a_helper_moved_is_counted(services):
    message = encode_report(REPORT).decode()
    moved = pod(fetch=ContainerRecord(exit_code=0, message=message))
    _moved(services, "fetch", moved)
    _moved(services, "upload", moved)

    assert value(services, "transfer_bytes_total", direction="fetch") == 1000
    assert value(services, "transfer_files_total", direction="fetch") == 3
    assert value(services, "transfer_seconds_total", direction="fetch") == 2.5
    assert value(services, "blob_cache_requests_total", result="hit") == 4
    assert value(services, "blob_cache_requests_total", result="miss") == 1
    assert value(services, "blob_cache_bytes_total") == 800
    assert value(services, "transfer_bytes_total", direction="upload") is None


@pytest.mark.parametrize(
    "container",
    [
        ContainerRecord(exit_code=1, message=encode_report(REPORT).decode()),
        ContainerRecord(exit_code=0, message="some log line"),
        ContainerRecord(exit_code=0),
        ContainerRecord(started_at=1.0),
    ],
)
def test_what_says_nothing_is_not_counted(services, container):
    _moved(services, "upload", pod(uploader=container))
    _moved(services, "upload", None)
    assert value(services, "transfer_bytes_total", direction="upload") is None
