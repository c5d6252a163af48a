"""The server in memory keeps what it promises."""

import time

import pytest

from tests.world.behaviours import ServerBehaviour
from tests.world.line import Line
from tests.world.server import Address, Server


@pytest.fixture
def server():
    return Server(time.time)


@pytest.fixture
async def cluster(server):
    return Line(server, by="test").client()


@pytest.fixture
def namespace():
    return "ns"


@pytest.fixture
def bind(server, namespace):
    async def put(name):
        server.patch(Address("pods", namespace, name, ""), {"spec": {"nodeName": "n"}})

    return put


class TestServer(ServerBehaviour):
    pass
