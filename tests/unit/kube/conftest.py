import asyncio
from collections.abc import AsyncIterator

import pytest

from gradient_operator.kube.client import KubeClient
from tests.unit.kube.faulty_api import FaultyApi, faulty_api

# Otherwise looptime's plugin makes a loop for a test without one, if such a test comes first, and
# nobody closes it.
asyncio.set_event_loop(None)


@pytest.fixture
async def api() -> AsyncIterator[FaultyApi]:
    async with faulty_api() as served:
        yield served


@pytest.fixture
async def client(api: FaultyApi) -> AsyncIterator[KubeClient]:
    async with api.client() as connected:
        yield connected
