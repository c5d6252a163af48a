import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import NAMESPACES


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(kubeconfig, user_agent="gradient-tests") as client:
        yield client


@pytest.fixture
async def namespace(cluster: KubeClient) -> AsyncIterator[str]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await cluster.create(NAMESPACES, {"metadata": {"name": name}})
    yield name
    await cluster.delete(NAMESPACES, name=name)
