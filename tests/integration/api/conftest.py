import uuid
from pathlib import Path

import pytest

from tests.integration.api.objects import Kubectl

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def kubectl(kubeconfig):
    """kubectl with the CRDs of this checkout, in a namespace that ends with the module."""
    namespace = f"crd-{uuid.uuid4().hex[:8]}"
    program = Kubectl(Path(kubeconfig), namespace)
    applied = program("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    assert applied.code == 0, applied.text
    ready = program(
        "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds")
    )
    assert ready.code == 0, ready.text
    assert program("create", "namespace", namespace).code == 0
    yield program
    program("delete", "namespace", namespace, "--wait=false")
