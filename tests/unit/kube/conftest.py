from collections.abc import AsyncIterator

import pytest

from gradient_operator.kube.client import KubeClient
from tests.unit.kube.faulty_api import FaultyApi, faulty_api


@pytest.fixture
async def api() -> AsyncIterator[FaultyApi]:
    async with faulty_api() as served:
        yield served


@pytest.fixture
async def client(api: FaultyApi) -> AsyncIterator[KubeClient]:
    async with api.client() as connected:
        yield connected
