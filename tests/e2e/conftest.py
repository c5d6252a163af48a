"""The cluster of the end-to-end tests: the caller's own, or one that is started here.

`CLUSTER=existing` with KUBECONFIG takes a cluster as it is, the operator installed or not. Without
it the cluster of this checkout is used; if it was not up, it is started, and stopped at the end.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import NAMESPACES
from tests import leftovers
from tests.e2e.cluster import ROOT, Cluster, command, new_namespace
from tests.e2e.side_by_side import UnderWay, chosen, playing


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder."""
    item.add_marker("e2e")
    # A connection that a fault cut may be collected only in the midst of a later test.
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _leftovers() -> Iterator[None]:
    """What a module leaves does not reach tests that know of no fault."""
    yield
    leftovers.collect()


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
    cluster = await new_namespace(client, stem)
    yield cluster
    try:
        await client.delete(NAMESPACES, name=cluster.namespace)
    except NotFound:
        return


@pytest.fixture(scope="module")
def together(installed: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for all tests of a module, with all runs that its `start` makes, side by side."""

    async def begin() -> str:
        async with await KubeClient.connect(user_agent="gradient-e2e") as client:
            cluster = await new_namespace(client, _topic(request))
            await request.module.start(cluster)
            return cluster.namespace

    name = asyncio.run(begin())
    yield name
    command(["kubectl", "delete", "namespace", name, "--wait=false"])


def _topic(request: pytest.FixtureRequest) -> str:
    """What a module is about, as part of a name."""
    return str(request.module.__name__).rpartition("test_")[2].replace("_", "-")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def under_way(installed: None, request: pytest.FixtureRequest) -> AsyncIterator[UnderWay]:
    """The scenarios of a module that were asked for, all started, in one namespace."""
    further = getattr(request.module, "FURTHER_RUNS", ())
    async with playing(_topic(request), chosen(request), further=further) as tasks:
        yield tasks


@pytest.fixture
def shared(client: KubeClient, together: str) -> Cluster:
    """The namespace of the module."""
    return Cluster(client, together)
