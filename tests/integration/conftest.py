"""The API server of the integration tests: real, with simulated nodes.

GRADIENT_TEST_KUBECONFIG names one to use as it is. Without it the profile `simulated` of `hack/`
is started, and stopped at the end unless it was up before.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import leftovers

ROOT = Path(__file__).parents[2]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder."""
    item.add_marker("integration")
    # A connection that a fault cut may be collected only in the midst of a later test.
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


def cluster(word: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "hack.cluster", word, "--name", "simulated"]
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1_800
    )


@pytest.fixture(scope="module", autouse=True)
def _leftovers() -> Iterator[None]:
    """What a module leaves does not reach tests that know of no fault."""
    yield
    leftovers.collect()


def pytest_sessionfinish() -> None:
    """The same for the last tests: what is left is collected here, and not at pytest's own end."""
    leftovers.collect()


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """How to reach the API server."""
    given = os.environ.get("GRADIENT_TEST_KUBECONFIG")
    if given:
        yield Path(given)
        return
    was_up = cluster("status").returncode == 0
    up = cluster("up")
    assert up.returncode == 0, up.stdout + up.stderr
    yield ROOT / ".local" / "simulated.kubeconfig"
    if not was_up:
        down = cluster("down")
        assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def installed(kubeconfig: Path) -> Path:
    """The same API server with the CRDs and the machine types of this checkout."""
    for words in (
        ["apply", "--server-side", "--force-conflicts", "-f", "crds"],
        ["wait", "--for=condition=Established", "--timeout=60s", "-f", "crds"],
        ["apply", "--server-side", "--force-conflicts", "-k", "manifests/instance-types/pools"],
    ):
        program = ["kubectl", "--kubeconfig", str(kubeconfig), *words]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return kubeconfig
