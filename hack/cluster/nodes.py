"""The real nodes: a containerd and a kubelet each, although they share one machine.

Two kubelets on one containerd delete each other's pods, so nothing is shared but the kernel, the
bridge and the program files.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hack.cache import write_atomically
from hack.cluster.api import Api, wait_until
from hack.cluster.kubeconfig import component_kubeconfig
from hack.cluster.network import CLUSTER_DOMAIN
from hack.cluster.prerequisites import network_plugin_folder
from hack.cluster.processes import Component, ProcessTable
from hack.cluster.profile import BRIDGE_ADDRESSES, POOL_LABEL, REGISTRY_PORT, Node, Profile
from hack.commands import attempt

PAUSE_IMAGE = "localhost/pause:1"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")
CONTAINERD_SECONDS = 30.0
READY_SECONDS = 60.0


def containerd_socket(profile: Profile, node: Node) -> Path:
    """The socket of the containerd of `node`; it tells this node's containers from all others."""
    return profile.node_folder(node) / "containerd.sock"


def containerd_configuration(profile: Profile, node: Node) -> str:
    """The configuration of containerd, in TOML."""
    folder = profile.node_folder(node)
    runtime = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc'
    return f"""\
version = 2
root = "{folder / "containerd"}"
state = "{folder / "run"}"
[grpc]
  address = "{containerd_socket(profile, node)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder / "opt"}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Containers may be refused a better out-of-memory score than their parent has.
  restrict_oom_score_adj = true
  disable_apparmor = true
  # Network namespaces are mounts: below our own state they are found and removed.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{network_plugin_folder()}"
    conf_dir = "{profile.state / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder / "registries"}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    {runtime}]
      runtime_type = "io.containerd.runc.v2"
      {runtime}.options]
        SystemdCgroup = false
        Root = "{folder / "runc"}"
"""


def registry_configuration() -> str:
    """Where containerd looks for images of every name: on this machine and nowhere else."""
    server = f"http://{BRIDGE_ADDRESSES[0]}:{REGISTRY_PORT}"
    return f'server = "{server}"\n[host."{server}"]\n  capabilities = ["pull", "resolve"]\n'


def containerd_component(profile: Profile, node: Node) -> Component:
    """The containerd of `node`."""
    path = profile.node_folder(node) / "containerd.toml"
    write_atomically(path, containerd_configuration(profile, node))
    return Component(f"containerd-{node.name}", ("containerd", "--config", str(path)))


def kubelet_configuration(profile: Profile, node: Node) -> dict[str, object]:
    """The configuration of the kubelet of `node`."""
    folder, pki = profile.node_folder(node), profile.state / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": node.kubelet_port,
        "healthzPort": node.health_port,
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "tlsCertFile": str(pki / f"kubelet-{node.name}.crt"),
        "tlsPrivateKeyFile": str(pki / f"kubelet-{node.name}.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{containerd_socket(profile, node)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{profile.control_group(node)}",
        "cgroupsPerQOS": True,
        # The machine is shared with whoever works on it: reserve nothing, evict for nothing.
        "enforceNodeAllocatable": [],
        "evictionHard": {
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
        # Images cannot be pulled again, so they are never collected.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "failSwapOn": False,
        "failCgroupV1": False,
        # Without CAP_SYS_RESOURCE some of the kubelet's own settings are refused; this lets it go
        # on.
        "featureGates": {"KubeletInUserNamespace": True},
        # kube-proxy makes all chains that are needed; the kubelet's would outlive it.
        "makeIPTablesUtilChains": False,
        "clusterDNS": [BRIDGE_ADDRESSES[0]],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": "",
        "maxPods": 250,
        "serializeImagePulls": False,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
    }


def kubelet_component(profile: Profile, node: Node) -> Component:
    """The kubelet of `node`."""
    folder = profile.node_folder(node)
    path = folder / "kubelet.json"
    write_atomically(path, json.dumps(kubelet_configuration(profile, node), indent=2))
    return Component(
        f"kubelet-{node.name}",
        (
            str(profile.state / "bin/kubelet"),
            f"--kubeconfig={component_kubeconfig(profile, f'kubelet-{node.name}')}",
            f"--config={path}",
            f"--root-dir={folder / 'kubelet'}",
            f"--cert-dir={folder / 'certificates'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--node-labels={POOL_LABEL}={node.pool}",
        ),
    )


def control_group_folders(name: str) -> list[Path]:
    """Where the control group `name` is, in every hierarchy that this machine has."""
    if (CONTROL_GROUPS / "cgroup.controllers").exists():
        return [CONTROL_GROUPS / name]
    hierarchies = [
        Path(fields[1])
        for line in Path("/proc/self/mounts").read_text().splitlines()
        # Beside the hierarchies of version 1 there may be one of version 2 that controls nothing.
        if (fields := line.split())[2] in {"cgroup", "cgroup2"}
    ]
    return [hierarchy / name for hierarchy in hierarchies]


def make_control_group(name: str) -> None:
    """Make the control group that a kubelet is told to use; it refuses to make its own root."""
    if (CONTROL_GROUPS / "cgroup.controllers").exists():
        for controller in CONTROLLERS:
            try:
                (CONTROL_GROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                continue  # The kernel lacks this one; the kubelet says so if it needs it.
    for folder in control_group_folders(name):
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # In version 1 a new group has no processors at all until they are named.
            target, parent = folder / setting, folder.parent / setting
            if parent.exists() and target.exists() and not target.read_text().strip():
                target.write_text(parent.read_text())


def containerd_answers(profile: Profile, node: Node) -> bool:
    """Whether the containerd of `node` takes calls."""
    socket = containerd_socket(profile, node)
    return attempt(["ctr", "--address", socket, "version"], seconds=5).succeeded


def start_containerd(profile: Profile, node: Node, table: ProcessTable) -> None:
    """Start the container runtime of `node` and wait until it answers."""
    name = f"containerd-{node.name}"
    for folder in ("containerd", "run", "opt", "registries", "volume-plugins"):
        (profile.node_folder(node) / folder).mkdir(parents=True, exist_ok=True)
    hosts = profile.node_folder(node) / "registries" / "_default" / "hosts.toml"
    write_atomically(hosts, registry_configuration())
    make_control_group(profile.control_group(node))
    table.start(containerd_component(profile, node))
    wait_until(
        lambda: containerd_answers(profile, node),
        what=f"{name} answers",
        seconds=CONTAINERD_SECONDS,
        meanwhile=lambda: table.require(name),
    )


def node_ready(node: object, *, since: str = "") -> bool:
    """Whether the Node object says so itself, and did so at or after the time `since`.

    The object of a kubelet that was killed still says that it is ready. Times are compared as text:
    all are UTC in the same format.
    """
    if not isinstance(node, dict):
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(
        one["type"] == "Ready"
        and one["status"] == "True"
        and str(one.get("lastHeartbeatTime", "")) >= since
        for one in conditions
    )


def start_kubelets(profile: Profile, table: ProcessTable) -> None:
    """Start the kubelets and wait until each reports its node ready."""
    api = Api(profile)
    now = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    started = [
        (node, now if table.start(kubelet_component(profile, node)) else "")
        for node in profile.nodes
    ]
    for node, since in started:
        wait_until(
            partial(is_ready, api, node, since),
            what=f"node {node.name} is ready",
            seconds=READY_SECONDS,
            meanwhile=partial(require_programs, node, table),
        )


def is_ready(api: Api, node: Node, since: str) -> bool:
    """Whether the API server knows `node` as ready."""
    return node_ready(api.get(f"/api/v1/nodes/{node.name}"), since=since)


def require_programs(node: Node, table: ProcessTable) -> None:
    """Raise if one of the node's programs has ended."""
    table.require(f"kubelet-{node.name}")
    table.require(f"containerd-{node.name}")


def kernel_processes(folder: Path) -> set[int]:
    """The ids of all processes in a control group and the groups below it."""
    found: set[int] = set()
    for root, _, files in os.walk(folder):
        if "cgroup.procs" in files:
            try:
                found.update(
                    int(line) for line in (Path(root) / "cgroup.procs").read_text().split()
                )
            except OSError:
                continue  # The group went away while we looked.
    return found
