"""kind: a cluster whose nodes are Docker containers, made like the one of plain processes.

The same two pools, simulated GPUs and storage classes, so that tests need not know which one they
have.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hack.checkout import LOCAL, ROOT
from hack.cluster import binaries, existing
from hack.cluster.gpu import status_operations
from hack.cluster.profile import POOL_LABEL, REAL
from hack.cluster.storage import SHARED, storage_class
from hack.commands import Result, attempt, describe_failure
from hack.errors import SetupError
from hack.images.catalogue import DESCRIBED
from hack.steps import say, step

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "gradient"
CONFIGURATION = ROOT / "kind-config.yaml"
KUBECONFIG = LOCAL / "kubeconfig"
# kind mounts it into both workers, see kind-config.yaml.
SHARED_FOLDER = LOCAL / "kind-shared"
SHARED_PATH = "/var/local/gradient-shared"
STORAGE_NAMESPACE = "local-path-storage"
STORAGE_DEPLOYMENT = "local-path-provisioner"
STORAGE_CONFIG = "local-path-config"
SHARED_PROVISIONER = "gradient.run/shared-path"
GPUS = max(node.gpus for node in REAL.nodes)


class Runner(Protocol):
    """Runs a command with `text` as its input."""

    def __call__(self, command: Sequence[str], *, text: str | None = None) -> Result:
        """How the command ended and what it said."""


def runner(*, seconds: float | None = None) -> Runner:
    """Runs commands on this machine; kind takes relative paths from the folder it is called in."""

    def run(command: Sequence[str], *, text: str | None = None) -> Result:
        return attempt(command, text=text, folder=ROOT, seconds=seconds)

    return run


@dataclass(frozen=True, slots=True)
class KindCluster:
    """The cluster `gradient` of kind."""

    run: Runner = field(default_factory=runner)
    kubeconfig: Path = KUBECONFIG
    shared_folder: Path = SHARED_FOLDER

    def build(self) -> None:
        """Nothing to make: kind brings its nodes."""

    def up(self) -> None:
        """Make the cluster, or get the way to it if it is there."""
        existed = self.exists()
        if existed:
            self.call(
                "kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", self.kubeconfig
            )
        else:
            # Docker would make the folder too, but as root.
            self.shared_folder.mkdir(parents=True, exist_ok=True)
            with step("make a cluster with kind"):
                self.call(
                    *("kind", "create", "cluster", "--name", NAME, "--wait", "180s"),
                    *("--config", CONFIGURATION, "--kubeconfig", self.kubeconfig),
                )
        self.kubeconfig.chmod(0o600)
        binaries.link_kubectl(Path(existing.find_kubectl()))
        with step("simulate GPUs and set up the storage class `shared`"):
            self.simulate_gpus()
            self.add_shared_class()
        state = "is already up" if existed else "is up"
        say(f"cluster `{NAME}` {state} (kind); kubeconfig: {self.kubeconfig}")

    def down(self) -> None:
        """Delete the cluster."""
        if not self.exists():
            say(f"cluster `{NAME}` is not there (kind)")
            return
        with step(f"delete cluster `{NAME}`"):
            self.call("kind", "delete", "cluster", "--name", NAME)
        self.kubeconfig.unlink(missing_ok=True)

    def status(self) -> bool:
        """Say whether it is there and answers."""
        if not self.exists():
            say(f"cluster `{NAME}` is down (kind)")
            return False
        ready = self.run(self.kubectl("get", "--raw", "/readyz")).succeeded
        say(f"cluster `{NAME}` (kind) {'is up' if ready else 'does not answer'}")
        return ready

    def build_images(self, names: list[str]) -> None:
        """Have Docker build the images that are described by Dockerfiles."""
        for name in names:
            described = DESCRIBED.get(name)
            if not described:
                continue  # What nodes need themselves, kind's nodes have.
            with step(f"build {described.names[0]} with Docker"):
                dockerfile = ROOT / described.dockerfile
                self.call("docker", "build", "-f", dockerfile, "-t", described.names[0], ROOT)

    def load_images(self, names: list[str]) -> None:
        """Give the images to kind's nodes; public images they pull themselves."""
        if not self.exists():
            raise SetupError("the cluster is not up: python3 -m hack.cluster up")
        images = [DESCRIBED[name].names[0] for name in names if name in DESCRIBED]
        with step(f"load {', '.join(images)}"):
            self.call("kind", "load", "docker-image", "--name", NAME, *images)

    def exists(self) -> bool:
        """Whether kind knows the cluster."""
        return NAME in self.call("kind", "get", "clusters").split()

    def call(self, *command: str | Path, text: str = "") -> str:
        """Run a command that must succeed."""
        words = [str(word) for word in command]
        result = self.run(words, text=text or None)
        if not result.succeeded:
            raise SetupError(describe_failure(words, result))
        return result.output

    def kubectl(self, *words: str) -> list[str]:
        """A kubectl command. The control-plane node has a kubectl; the machine may have none."""
        return ["docker", "exec", "--interactive", f"{NAME}-control-plane", "kubectl", *words]

    def simulate_gpus(self) -> None:
        """Give the nodes of the GPU pool their GPUs."""
        found = self.call(*self.kubectl("get", "nodes", "-l", f"{POOL_LABEL}=gpu", "-o", "name"))
        for node in found.split():
            patch = json.dumps(status_operations(GPUS))
            self.call(
                *self.kubectl("patch", node, "--subresource=status", "--type=json", "-p", patch)
            )

    def add_shared_class(self) -> None:
        """A second provisioner like kind's own, on the folder that both workers mount."""
        where = ("-n", STORAGE_NAMESPACE, "-o", "json")
        deployment = json.loads(
            self.call(*self.kubectl("get", "deployment", STORAGE_DEPLOYMENT, *where))
        )
        config = json.loads(self.call(*self.kubectl("get", "configmap", STORAGE_CONFIG, *where)))
        documents = [
            shared_config(config),
            shared_deployment(deployment),
            {
                **storage_class(SHARED, default=False, binding="Immediate"),
                "provisioner": SHARED_PROVISIONER,
            },
        ]
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.call(*self.kubectl("apply", "-f", "-"), text=json.dumps(listed))


def renamed(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under another name, without what the API server added to it."""
    metadata = {"name": name, "namespace": document["metadata"]["namespace"]}
    kept = {key: value for key, value in document.items() if key not in {"metadata", "status"}}
    return {**kept, "metadata": metadata}


def shared_config(config: dict[str, Any]) -> dict[str, Any]:
    """Kind's settings of the provisioner, with one folder for all nodes."""
    settings = {"nodePathMap": [], "sharedFileSystemPath": SHARED_PATH}
    return {
        **renamed(config, f"{STORAGE_CONFIG}-shared"),
        "data": {**config["data"], "config.json": json.dumps(settings)},
    }


def shared_deployment(deployment: dict[str, Any]) -> dict[str, Any]:
    """Kind's provisioner once more: its image and account, our settings and provisioner name."""
    name = f"{STORAGE_DEPLOYMENT}-shared"
    labels = {"app": name}
    copy: dict[str, Any] = json.loads(json.dumps(renamed(deployment, name)))
    copy["spec"]["selector"] = {"matchLabels": labels}
    template = copy["spec"]["template"]
    template["metadata"] = {"labels": labels}
    for volume in template["spec"].get("volumes", []):
        if volume.get("configMap", {}).get("name") == STORAGE_CONFIG:
            volume["configMap"]["name"] = f"{STORAGE_CONFIG}-shared"
    container = template["spec"]["containers"][0]
    options = ["--provisioner-name", SHARED_PROVISIONER]
    options += ["--configmap-name", f"{STORAGE_CONFIG}-shared"]
    key = "command" if container.get("command") else "args"
    container[key] = [*container.get(key, []), *options]
    return copy
