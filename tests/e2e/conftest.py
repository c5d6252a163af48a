"""The cluster of the end-to-end tests: the caller's own, or one that is started here.

`CLUSTER=existing` with KUBECONFIG takes a cluster as it is, the operator installed or not. Without
it the cluster of this checkout is used; if it was not up, it is started, and stopped at the end.
"""

import asyncio
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import NAMESPACES
from tests.e2e.cluster import ROOT, Cluster, command


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder."""
    item.add_marker("e2e")
    # A connection that a fault cut may be collected only in the midst of a later test.
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session")
def installed() -> Iterator[None]:
    """A cluster with the operator, S3 and images in it."""
    own = os.environ.get("CLUSTER") != "existing"
    was_up = own and command([sys.executable, "-m", "hack.cluster", "status"], check=False)
    before = os.environ.get("KUBECONFIG")
    steps = [["hack.cluster", "up"], *([["hack.images", "load"]] if own else [])]
    for words in steps:
        command([sys.executable, "-m", *words], seconds=1_800)
    command([sys.executable, "-m", "hack.install"], seconds=600)
    if own:
        os.environ["KUBECONFIG"] = str(ROOT / ".local" / "kubeconfig")
    yield
    if before is None:
        os.environ.pop("KUBECONFIG", None)
    else:
        os.environ["KUBECONFIG"] = before
    if own and was_up and was_up.returncode != 0:
        command([sys.executable, "-m", "hack.cluster", "down"], seconds=300)


@pytest.fixture
async def client(installed: None) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(user_agent="gradient-e2e") as client:
        yield client


@pytest.fixture
async def cluster(client: KubeClient, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A namespace of its own for the test, gone afterwards."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.lower())[5:40].strip("-")
    name = f"e2e-{stem}-{uuid.uuid4().hex[:6]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(NAMESPACES, body)
    yield Cluster(client, name)
    try:
        await client.delete(NAMESPACES, name=name)
    except NotFound:
        return


@pytest.fixture(scope="module")
def together(installed: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for all tests of a module, with all runs that its `start` makes, side by side."""
    stem = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    name = f"e2e-{stem}-{uuid.uuid4().hex[:6]}"

    async def begin() -> None:
        async with await KubeClient.connect(user_agent="gradient-e2e") as client:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await client.create(NAMESPACES, body)
            await request.module.start(Cluster(client, name))

    asyncio.run(begin())
    yield name
    command(["kubectl", "delete", "namespace", name, "--wait=false"])


@pytest.fixture
def shared(client: KubeClient, together: str) -> Cluster:
    """The namespace of the module."""
    return Cluster(client, together)
