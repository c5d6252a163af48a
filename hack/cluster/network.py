"""The bridge that joins nodes and pods, kube-proxy and DNS; and taking it all away.

Everything that lands outside the state folder has a name of ours or is put back: the bridge, two
kernel settings, one rule of the packet filter, and the chains of kube-proxy.
"""

from __future__ import annotations

import json
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import write_atomically
from hack.cluster.kubeconfig import component_kubeconfig
from hack.cluster.processes import Component
from hack.cluster.profile import (
    BRIDGE_ADDRESSES,
    FIRST_POD_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
    Profile,
)
from hack.commands import attempt, run
from hack.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable

KERNEL_SETTINGS = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")
RULE_COMMENT = "gradient-cluster"
CLUSTER_DOMAIN = "cluster.local"
BRIDGE_HARDWARE_ADDRESS = "02:67:72:61:64:30"
"""Locally administered: nobody's network card has it."""
FAMILIES = ("iptables", "ip6tables")
OWN_CHAIN = re.compile(r"^:(KUBE-[A-Z0-9-]+) ", re.MULTILINE)


def make_bridge(profile: Profile) -> None:
    """The bridge with one address for each node; pods are plugged into it by the CNI plugin."""
    if not attempt(["ip", "link", "show", profile.bridge]).succeeded:
        run(["ip", "link", "add", profile.bridge, "type", "bridge"])
    # Else it takes that of its lowest port, and changes it whenever a pod comes or goes: what other
    # pods then send to the one they remember (to the DNS server, to Services) is lost for minutes.
    run(["ip", "link", "set", profile.bridge, "address", BRIDGE_HARDWARE_ADDRESS])
    for address in BRIDGE_ADDRESSES:
        run(["ip", "address", "replace", f"{address}/16", "dev", profile.bridge])
    run(["ip", "link", "set", profile.bridge, "up"])


def set_kernel(profile: Profile) -> None:
    """Let the kernel forward, also bridged packets through the filter where Services live."""
    attempt(["modprobe", "br_netfilter"])
    before = profile.state / "kernel-settings.json"
    if not before.exists():
        values = {name: read_setting(name) for name in KERNEL_SETTINGS}
        write_atomically(before, json.dumps(values))
    for name in KERNEL_SETTINGS:
        if read_setting(name) not in {"1", None}:
            Path("/proc/sys", name).write_text("1")
    if read_setting(KERNEL_SETTINGS[1]) is None:
        raise SetupError(
            "the kernel module br_netfilter is missing: Services would not work between pods"
        )


def read_setting(name: str) -> str | None:
    """A kernel setting, or None where the kernel has no such thing."""
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def restore_kernel(profile: Profile) -> None:
    """Put the kernel settings back to what they were before the first start."""
    try:
        values = json.loads((profile.state / "kernel-settings.json").read_text())
    except (OSError, ValueError):
        return
    for name, value in values.items():
        if value is not None and read_setting(name) not in {value, None}:
            Path("/proc/sys", name).write_text(value)


def allow_forwarding(profile: Profile) -> None:
    """Let pods reach each other also where Docker or a firewall drops what is forwarded."""
    rule = [
        *("FORWARD", "-i", profile.bridge, "-o", profile.bridge),
        *("-m", "comment", "--comment", RULE_COMMENT, "-j", "ACCEPT"),
    ]
    if not attempt(["iptables", "-w", "-C", *rule]).succeeded:
        run(["iptables", "-w", "-I", *rule])


def write_plugin_configuration(profile: Profile) -> Path:
    """What containerd plugs every pod into; both nodes share it, as they share the bridge."""
    configuration = {
        "cniVersion": "0.4.0",
        "name": network_name(profile),
        "plugins": [
            {
                "type": "bridge",
                "bridge": profile.bridge,
                "isGateway": False,
                "ipMasq": False,
                # A pod may reach itself through its own Service.
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(profile.state / "addresses"),
                    "ranges": [
                        [
                            {
                                "subnet": POD_RANGE,
                                "rangeStart": FIRST_POD_ADDRESS,
                                "gateway": BRIDGE_ADDRESSES[0],
                            }
                        ]
                    ],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
    folder = profile.state / "cni"
    write_atomically(folder / "10-gradient.conflist", json.dumps(configuration, indent=2))
    return folder


def network_name(profile: Profile) -> str:
    """The name under which the CNI library remembers its results."""
    return f"gradient-{profile.name}"


def proxy_component(profile: Profile) -> Component:
    """kube-proxy: one for both nodes, as both are behind the same packet filter."""
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(component_kubeconfig(profile, "proxy"))},
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        "bindAddress": "127.0.0.1",
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        # The kernel's table of connections is the machine's: leave its size alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "hostnameOverride": profile.nodes[0].name,
    }
    path = profile.state / "kube-proxy.json"
    write_atomically(path, json.dumps(configuration, indent=2))
    return Component("kube-proxy", (str(profile.state / "bin/kube-proxy"), f"--config={path}"))


def dns_component(profile: Profile) -> Component:
    """CoreDNS on the bridge itself: it needs no Service and answers before kube-proxy is up."""
    kubeconfig = component_kubeconfig(profile, "admin")
    corefile = "\n".join(
        [
            ".:53 {",
            f"  bind {BRIDGE_ADDRESSES[0]}",
            "  errors",
            f"  kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{",
            f"    kubeconfig {kubeconfig}",
            "    pods insecure",
            "  }",
            "  cache 5",
            "}",
            "",
        ]
    )
    path = profile.state / "Corefile"
    write_atomically(path, corefile)
    return Component("coredns", (str(profile.state / "bin/coredns"), "-conf", str(path)))


def resolves(name: str, *, server: str, seconds: float = 0.5) -> bool:
    """Whether the DNS server at `server` answers the name with at least one address."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack(">HH", 1, 1)
    header = struct.pack(">HHHHHH", 0x4752, 0x0100, 1, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        try:
            client.sendto(header + question, (server, 53))
            reply = client.recv(512)
        except OSError:
            return False
    _, _, _, answers, _, _ = struct.unpack(">HHHHHH", reply[:12])
    return bool(answers)


def foreign_proxy(saved: str) -> bool:
    """Whether the packet filter holds the Services of another Kubernetes on this machine."""
    first = SERVICE_RANGE.split("/", maxsplit=1)[0].rsplit(".", 2)[0] + "."
    addresses = re.findall(r"^-A KUBE-SERVICES -d ([0-9a-f.:]+)", saved, re.MULTILINE)
    return any(not address.startswith(first) for address in addresses)


def require_no_foreign_proxy() -> None:
    """Refuse: two kube-proxies on one packet filter delete each other's rules."""
    if foreign_proxy(attempt(["iptables-save"]).output):
        raise SetupError(
            "another Kubernetes runs on this machine itself and owns the packet filter: "
            "use it (CLUSTER=existing with its KUBECONFIG) or stop it first"
        )


def removal_script(saved: str) -> str:
    """What iptables-restore needs to remove kube-proxy's chains and our rule, and nothing else."""
    script: list[str] = []
    for table, body in re.findall(r"^\*(\w+)$(.*?)^COMMIT$", saved, re.MULTILINE | re.DOTALL):
        chains = OWN_CHAIN.findall(body)
        rules = [
            f"-D{line[2:]}"
            for line in body.splitlines()
            if line.startswith("-A ") and not line.startswith("-A KUBE-") and is_ours(line)
        ]
        if not chains and not rules:
            continue
        flushed = [f"-F {chain}" for chain in chains]
        removed = [f"-X {chain}" for chain in chains]
        script += [f"*{table}", *rules, *flushed, *removed, "COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def is_ours(rule: str) -> bool:
    """Whether a rule in a chain of the kernel is kube-proxy's or ours."""
    return "-j KUBE-" in rule or RULE_COMMENT in rule.split()


def remove_rules(families: Iterable[str] = FAMILIES) -> None:
    """Take our rules out of the packet filter, unless another Kubernetes holds it."""
    for family in families:
        saved = attempt([f"{family}-save"])
        if not saved.succeeded or foreign_proxy(saved.output):
            continue
        if script := removal_script(saved.output):
            run([f"{family}-restore", "--noflush", "-w"], text=script)


def remove_bridge(profile: Profile) -> None:
    """Delete the bridge and the ends of pods' cables that are still plugged into it."""
    shown = attempt(["ip", "-json", "link", "show", "master", profile.bridge])
    for port in json.loads(shown.output or "[]") if shown.succeeded else []:
        if name := port.get("ifname"):
            attempt(["ip", "link", "delete", name])
    if attempt(["ip", "link", "show", profile.bridge]).succeeded:
        run(["ip", "link", "delete", profile.bridge])
