"""Certificates and keys of one cluster, made by the openssl program.

They are made in a folder beside and renamed when complete: a half-made set is never used.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster.profile import API_SERVICE_ADDRESS, BRIDGE_ADDRESSES, Profile
from hack.commands import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAYS = "3650"
# Elliptic curves: a key takes no time to make, where RSA takes a tenth of a second for each.
CURVE = "ec_paramgen_curve:P-256"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who it is for: the user and group that the API server reads, and the names it may serve."""

    name: str
    user: str
    group: str = ""
    names: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject in openssl's spelling."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


def certificates(profile: Profile) -> list[Certificate]:
    """Every certificate that the components of `profile` need."""
    loopback = ("DNS:localhost", "IP:127.0.0.1")
    service = (
        *tuple(f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc")),
        "DNS:kubernetes.default.svc.cluster.local",
        f"IP:{API_SERVICE_ADDRESS}",
    )
    bridge = tuple(f"IP:{address}" for address in BRIDGE_ADDRESSES)
    return [
        Certificate("apiserver", "kube-apiserver", names=(*loopback, *service, *bridge)),
        Certificate("etcd", "etcd", names=loopback),
        Certificate("apiserver-etcd", "kube-apiserver"),
        Certificate("apiserver-kubelet", "apiserver-kubelet", group="system:masters"),
        Certificate("admin", "admin", group="system:masters"),
        Certificate("controller-manager", "system:kube-controller-manager"),
        Certificate("scheduler", "system:kube-scheduler"),
        Certificate("proxy", "system:kube-proxy"),
        *(
            Certificate(
                f"kubelet-{node.name}",
                f"system:node:{node.name}",
                group="system:nodes",
                names=(f"DNS:{node.name}", f"IP:{node.address}"),
            )
            for node in profile.nodes
        ),
    ]


def make_pki(profile: Profile) -> bool:
    """Make the authority, certificates and the service-account key; whether it had to."""
    folder = profile.state / "pki"
    if folder.exists():
        return False
    draft = profile.state / "pki.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    make_authority(draft, profile)
    for certificate in certificates(profile):
        issue(draft, certificate)
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", CURVE, "-out", draft / "sa.key"])
    run(["openssl", "pkey", "-in", draft / "sa.key", "-pubout", "-out", draft / "sa.pub"])
    for key in draft.glob("*.key"):
        key.chmod(0o600)
    draft.rename(folder)
    return True


def make_authority(folder: Path, profile: Profile) -> None:
    """The authority that signs everything else in this cluster and nothing outside it."""
    extensions = (
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,digitalSignature",
    )
    options = [word for text in extensions for word in ("-addext", text)]
    subject = f"/CN=gradient-{profile.name}-authority"
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", CURVE, "-nodes"),
            *("-keyout", folder / "ca.key", "-out", folder / "ca.crt"),
            *("-subj", subject, "-days", DAYS, *options),
        ]
    )


def issue(folder: Path, certificate: Certificate) -> None:
    """A key, and a certificate signed by the authority."""
    key, signed = folder / f"{certificate.name}.key", folder / f"{certificate.name}.crt"
    request = run(
        [
            *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", CURVE, "-nodes"),
            *("-keyout", key, "-subj", certificate.subject),
        ]
    )
    extensions = folder / f"{certificate.name}.extensions"
    extensions.write_text(extension_lines(certificate.names))
    run(
        [
            *("openssl", "x509", "-req", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"),
            *("-CAcreateserial", "-days", DAYS, "-extfile", extensions, "-out", signed),
        ],
        text=request,
    )
    extensions.unlink()


def extension_lines(names: Sequence[str]) -> str:
    """What the certificate is good for, in openssl's own format."""
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth,serverAuth",
    ]
    if names:
        lines.append(f"subjectAltName={','.join(names)}")
    return "\n".join(lines) + "\n"
