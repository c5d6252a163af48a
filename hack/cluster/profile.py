"""The two clusters that can run side by side on one machine, and where each keeps its state.

The state is machine-wide, not in the checkout: ports, the bridge, mounts and control groups are
too, so that a second checkout finds the cluster that is already up instead of starting another.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hack.checkout import LOCAL
from hack.errors import SetupError

STATE_VARIABLE = "GRADIENT_CLUSTER_STATE"
MACHINE_WIDE_STATE = Path("/var/lib/gradient-cluster")

# Addresses are from the range for benchmarks of network devices (RFC 2544), which is never routed:
# they meet neither a company's private network nor a VPN, and nothing that is sent to them leaves.
BRIDGE_ADDRESSES = ("198.18.0.1", "198.18.0.2")
POD_RANGE = "198.18.0.0/16"
FIRST_POD_ADDRESS = "198.18.1.0"
SERVICE_RANGE = "198.19.0.0/16"
API_SERVICE_ADDRESS = "198.19.0.1"

REGISTRY_PORT = 5000

POOL_LABEL = "gradient.run/pool"
GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class Ports:
    """What the components listen on; the clusters differ in them, so that both can be up."""

    api: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int

    def all(self) -> tuple[int, ...]:
        """Every port, to be checked before the start."""
        return (self.api, self.etcd, self.etcd_peer, self.controller_manager, self.scheduler)


@dataclass(frozen=True, slots=True)
class Node:
    """A real node: a kubelet and a containerd of its own on one address of the bridge."""

    name: str
    pool: str
    address: str
    kubelet_port: int
    health_port: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """One cluster: its name, its ports, and its nodes if they are real."""

    name: str
    purpose: str
    ports: Ports
    nodes: tuple[Node, ...]
    advertise_address: str
    listen_address: str
    kubeconfig_name: str
    needs_root: bool

    @property
    def simulated(self) -> bool:
        """Whether KWOK plays the kubelets."""
        return not self.nodes

    @property
    def bridge(self) -> str:
        """The name of the network bridge; the kernel takes at most 15 characters."""
        return "gradient0"

    @property
    def state(self) -> Path:
        """The folder that holds everything of this cluster."""
        return state_root(needs_root=self.needs_root) / self.name

    @property
    def lock(self) -> Path:
        """The lock beside the state: `down` deletes the state while it holds the lock."""
        return state_root(needs_root=self.needs_root) / f".{self.name}.lock"

    @property
    def kubeconfig(self) -> Path:
        """Where the checkout finds its way to the cluster."""
        return LOCAL / self.kubeconfig_name

    @property
    def server(self) -> str:
        """The API server as seen from this machine (loopback: no proxy setting gets in the way)."""
        return f"https://127.0.0.1:{self.ports.api}"

    def control_group(self, node: Node) -> str:
        """The control group that all containers of `node` are in.

        A cluster whose state is elsewhere is another cluster: `down` ends whatever is in the group.
        """
        root = str(self.state.parent)
        digest = hashlib.sha256(root.encode()).hexdigest()[:8]
        other = "" if root == str(MACHINE_WIDE_STATE) else f"-{digest}"
        return f"gradient-{self.name}-{node.name}{other}"

    def node_folder(self, node: Node) -> Path:
        """Everything of one node: containerd's root and socket, the kubelet's folder."""
        return self.state / "nodes" / node.name


def state_root(*, needs_root: bool) -> Path:
    """The folder of all clusters: from the environment, else the machine's, else the user's.

    Only a cluster without containers can live in the user's own folder.
    """
    chosen = os.environ.get(STATE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    if needs_root or os.geteuid() == 0:
        return MACHINE_WIDE_STATE
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "gradient-cluster"


REAL = Profile(
    name="real",
    purpose="two nodes with containers, as on any cluster",
    ports=Ports(api=6443, etcd=2379, etcd_peer=2380, controller_manager=10257, scheduler=10259),
    nodes=(
        Node(
            name="cpu-1",
            pool="cpu",
            address=BRIDGE_ADDRESSES[0],
            kubelet_port=10261,
            health_port=10271,
        ),
        Node(
            name="gpu-1",
            pool="gpu",
            address=BRIDGE_ADDRESSES[1],
            kubelet_port=10262,
            health_port=10272,
            gpus=4,
        ),
    ),
    advertise_address=BRIDGE_ADDRESSES[0],
    # Pods reach the API server through the bridge, people through the loopback address.
    listen_address="0.0.0.0",  # noqa: S104
    kubeconfig_name="kubeconfig",
    needs_root=True,
)

SIMULATED = Profile(
    name="simulated",
    purpose="twenty nodes whose kubelets KWOK plays, for integration tests and benchmarks",
    ports=Ports(api=26443, etcd=22379, etcd_peer=22380, controller_manager=20257, scheduler=20259),
    nodes=(),
    advertise_address="127.0.0.1",
    listen_address="127.0.0.1",
    kubeconfig_name="simulated.kubeconfig",
    needs_root=False,
)

PROFILES = {profile.name: profile for profile in (REAL, SIMULATED)}


def find_profile(name: str) -> Profile:
    """The profile called `name`."""
    if name not in PROFILES:
        raise SetupError(f"there is no cluster `{name}`; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]
