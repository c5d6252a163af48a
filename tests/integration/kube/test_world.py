"""The real API server does what the one of `tests/world` promises."""

import pytest

from gradient_operator.kube.resources import PODS, Resource
from tests.world.behaviours import ServerBehaviour


@pytest.fixture
def bind(cluster, namespace):
    async def put(name):
        """To a node that nobody plays."""
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "nobody"},
        }
        await cluster.create(
            Resource("", "v1", f"pods/{name}/binding", "Binding"), body, namespace=namespace
        )
        found = await cluster.get(PODS, name=name, namespace=namespace)
        assert found["spec"]["nodeName"] == "nobody"

    return put


class TestRealServer(ServerBehaviour):
    pass
