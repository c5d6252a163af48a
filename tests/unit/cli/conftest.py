"""The command line against an API server in memory."""

from contextlib import asynccontextmanager

import pytest

from gradient_operator.cli import cluster as cluster_module
from gradient_operator.cli.cluster import Cluster
from gradient_operator.cli.main import invoke
from tests.unit.cli.fake import FakeClient


@pytest.fixture
def client():
    return FakeClient()


@pytest.fixture
def cluster(client):
    return Cluster(client=client, namespace="team")


@pytest.fixture
def gradient(client, monkeypatch, capfd, tmp_path):
    """Run a command; gives exit code, standard output and standard error."""

    @asynccontextmanager
    async def connect(target):
        yield Cluster(client=client, namespace=target.namespace or client.default_namespace)

    monkeypatch.setattr(cluster_module, "connect", connect)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GRADIENT_DEBUG", raising=False)

    def run(*arguments):
        capfd.readouterr()
        code = invoke(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run
