"""A cluster that is there already: it is looked at and never changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from hack.checkout import LOCAL
from hack.cluster import binaries
from hack.commands import attempt, search_path
from hack.errors import SetupError
from hack.steps import say

SECONDS = 20.0


def find_kubectl() -> str:
    """The machine's kubectl, else the one that is built for the local clusters."""
    program = shutil.which("kubectl", path=search_path())
    if program and Path(program) == LOCAL / "bin" / "kubectl":
        # A link to itself would be the end of it.
        program = str(Path(program).resolve())
    return program or str(binaries.link_kubectl(binaries.cluster_binary()))


@dataclass(frozen=True, slots=True)
class ExistingCluster:
    """What KUBECONFIG leads to."""

    def build(self) -> None:
        """Nothing to make: the cluster is there."""

    def up(self) -> None:
        """Make sure that the cluster answers."""
        if not self.status():
            raise SetupError(
                "CLUSTER=existing, but no cluster answers: "
                "check KUBECONFIG with `kubectl cluster-info`"
            )

    def down(self) -> None:
        """Leave the cluster alone."""
        say("CLUSTER=existing: a cluster that these tools did not make is left as it is")

    def status(self) -> bool:
        """Say which cluster it is; whether it answers."""
        place = os.environ.get("KUBECONFIG") or "~/.kube/config"
        result = attempt([find_kubectl(), "get", "--raw", "/readyz"], seconds=SECONDS)
        say(f"existing cluster ({place}): {'ready' if result.succeeded else 'no answer'}")
        return result.succeeded

    def build_images(self, names: list[str]) -> None:
        """Refuse: whose registry would they be pushed to."""
        raise SetupError(
            f"CLUSTER=existing: build {', '.join(names)} with Docker and push them to a registry "
            "that the cluster pulls from, then set the images in manifests/"
        )

    def load_images(self, names: list[str]) -> None:
        """Refuse as well."""
        self.build_images(names)
