"""The real operator against the real API server, each module in a namespace of its own."""

import asyncio
import contextlib
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import KubeError
from gradient_operator.kube.resources import INSTANCE_TYPES, PODS
from tests.integration.api.objects import Kubectl
from tests.integration.operator import kubelet as kubelets
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.team import Team


@pytest.fixture(scope="module")
def namespace(installed: Path) -> Iterator[str]:
    """A namespace that ends with the module, whatever its Pods are in."""
    name = f"operator-{uuid.uuid4().hex[:8]}"
    program = ["kubectl", "--kubeconfig", str(installed)]
    subprocess.run([*program, "create", "namespace", name], check=True, capture_output=True)
    yield name
    subprocess.run(
        [*program, "delete", "namespace", name, "--wait=false"], check=True, capture_output=True
    )


@pytest.fixture
def kubectl(installed: Path, namespace: str) -> Kubectl:
    return Kubectl(installed, namespace)


@pytest.fixture
async def client(installed: Path) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(installed, user_agent="gradient-tests") as made:
        yield made


@pytest.fixture
async def kubelet(client: KubeClient, namespace: str) -> AsyncIterator[kubelets.Kubelet]:
    """Plays the kubelet of the manual nodes; afterwards no Pod of the namespace hangs."""
    body = kubelets.machine_type()
    await client.apply(INSTANCE_TYPES, body, name=kubelets.MACHINE, field_manager="tests")
    made = kubelets.Kubelet(client, namespace)
    await made.begin()
    yield made
    # Side by side: a wide run leaves many.
    await asyncio.gather(*(_let_go(made, pod) for pod in await made.pods()))


async def _let_go(kubelet: kubelets.Kubelet, pod: kubelets.Pod) -> None:
    metadata = pod["metadata"]
    with contextlib.suppress(KubeError):
        await kubelet.remove(pod)
        if metadata.get("finalizers"):
            await kubelet.client.merge_patch(
                PODS,
                {"metadata": {"finalizers": None}},
                name=metadata["name"],
                namespace=kubelet.namespace,
                brief=True,
            )


@pytest.fixture(scope="module")
def shared_operator(
    installed: Path, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    process = OperatorProcess(installed, namespace, tmp_path_factory.mktemp("operator"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    """The module's operator, at work; a test that ended it leaves the next a new one."""
    if not shared_operator.running:
        shared_operator.start()
    await shared_operator.ready()
    return shared_operator


@pytest.fixture
async def team(client: KubeClient, namespace: str) -> Team:
    """What a user of the namespace does and sees."""
    return Team(client, namespace)
