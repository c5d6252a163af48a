"""etcd, the API server, the controller manager and the scheduler, as plain processes."""

from __future__ import annotations

import socket

from hack.cluster.api import Api, wait_until
from hack.cluster.kubeconfig import component_kubeconfig
from hack.cluster.processes import Component, ProcessTable
from hack.cluster.profile import SERVICE_RANGE, Profile
from hack.errors import SetupError

READY_SECONDS = 60.0


def etcd(profile: Profile) -> Component:
    """The store. It does not wait for the disk: after a power cut the cluster is made anew."""
    pki = profile.state / "pki"
    client = f"https://127.0.0.1:{profile.ports.etcd}"
    peer = f"https://127.0.0.1:{profile.ports.etcd_peer}"
    return Component(
        "etcd",
        (
            str(profile.state / "bin/etcd"),
            f"--data-dir={profile.state / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            # Whoever reaches this port without a certificate would be the cluster's administrator.
            "--client-cert-auth=true",
            f"--trusted-ca-file={pki / 'ca.crt'}",
            f"--cert-file={pki / 'etcd.crt'}",
            f"--key-file={pki / 'etcd.key'}",
            "--peer-client-cert-auth=true",
            f"--peer-trusted-ca-file={pki / 'ca.crt'}",
            f"--peer-cert-file={pki / 'etcd.crt'}",
            f"--peer-key-file={pki / 'etcd.key'}",
            "--unsafe-no-fsync",
            f"--quota-backend-bytes={8 << 30}",
            "--log-level=warn",
        ),
    )


def api_server(profile: Profile) -> Component:
    """The API server, with the authorization that real clusters have."""
    pki = profile.state / "pki"
    # A loopback address cannot be an endpoint of the Service `kubernetes`; without pods none is
    # needed.
    endpoints = ("--endpoint-reconciler-type=none",) if profile.simulated else ()
    return Component(
        "kube-apiserver",
        (
            str(profile.state / "bin/kube-apiserver"),
            f"--etcd-servers=https://127.0.0.1:{profile.ports.etcd}",
            f"--etcd-cafile={pki / 'ca.crt'}",
            f"--etcd-certfile={pki / 'apiserver-etcd.crt'}",
            f"--etcd-keyfile={pki / 'apiserver-etcd.key'}",
            f"--secure-port={profile.ports.api}",
            f"--bind-address={profile.listen_address}",
            f"--advertise-address={profile.advertise_address}",
            *endpoints,
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
        ),
    )


def controller_manager(profile: Profile) -> Component:
    """The controllers: garbage collection, service accounts, node life cycle, volume binding."""
    pki = profile.state / "pki"
    return Component(
        "kube-controller-manager",
        (
            str(profile.state / "bin/kube-controller-manager"),
            f"--kubeconfig={component_kubeconfig(profile, 'controller-manager')}",
            f"--secure-port={profile.ports.controller_manager}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={profile.state / 'controller-manager'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            "--use-service-account-credentials=true",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            # Made at the start even though nothing is ever put into it.
            f"--flex-volume-plugin-dir={profile.state / 'volume-plugins'}",
            "--leader-elect=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--profiling=false",
        ),
    )


def scheduler(profile: Profile) -> Component:
    """The scheduler, with room for a burst of a thousand pods."""
    return Component(
        "kube-scheduler",
        (
            str(profile.state / "bin/kube-scheduler"),
            f"--kubeconfig={component_kubeconfig(profile, 'scheduler')}",
            f"--secure-port={profile.ports.scheduler}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={profile.state / 'scheduler'}",
            "--leader-elect=false",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--profiling=false",
        ),
    )


def require_free_ports(profile: Profile, table: ProcessTable) -> None:
    """Say who is in the way before a component does so in its log, in its own words."""
    if table.running("kube-apiserver") or table.running("etcd"):
        return
    for port in profile.ports.all():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as problem:
                raise SetupError(
                    f"port {port} is taken by another program (`ss -ltnp` names it): "
                    f"stop that program, or use its cluster with CLUSTER=existing"
                ) from problem


def start_api_server(profile: Profile, table: ProcessTable) -> None:
    """Start the store and the API server and wait until it is ready."""
    table.start(etcd(profile))
    table.start(api_server(profile))

    def alive() -> None:
        table.require("etcd")
        table.require("kube-apiserver")

    api = Api(profile)
    wait_until(api.ready, what="the API server is ready", seconds=READY_SECONDS, meanwhile=alive)


def start_controllers(profile: Profile, table: ProcessTable) -> None:
    """Start what acts through the API server."""
    table.start(controller_manager(profile))
    table.start(scheduler(profile))
