"""Which nodes are asked for, and what counts as silence."""

import pytest

from gradient_operator.controllers import node_health
from gradient_operator.kube.resources import NODES
from tests.builders import ended, make_pod, running, succeeded_pod
from tests.unit.controllers.memory_api import MemoryApi

UPLOADING = {"main": ended(0), "has_uploader": True, "uploader": running()}


def node(api, name, status):
    conditions = [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": status}]
    api.put(NODES, name, namespace=None, status={"conditions": conditions})


def test_only_uploads_that_should_end_raise_doubts():
    pods = [
        make_pod("a", node="one", main=running(), deletion_at=30.0),
        make_pod("b", node="two", **UPLOADING),
        make_pod("c", node="three", **UPLOADING, deletion_at=30.0),
        succeeded_pod("d", node="four", deletion_at=30.0),
    ]
    assert node_health.doubtful(pods) == {"three"}


@pytest.mark.parametrize(
    ("status", "silent"), [("True", set()), ("False", set()), ("Unknown", {"one"})]
)
async def test_a_node_that_stopped_reporting_is_silent(status, silent):
    api = MemoryApi()
    node(api, "one", status)
    assert await node_health.silent(api, {"one"}) == silent


async def test_a_node_that_is_gone_is_silent():
    assert await node_health.silent(MemoryApi(), {"one"}) == {"one"}
