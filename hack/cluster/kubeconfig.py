"""Kubeconfig files: with paths for the components, with everything embedded for people.

They are written as JSON, which every reader of YAML takes and the standard library can write.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from hack.cache import write_atomically
from hack.checkout import give_to_owner

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.profile import Profile

PRIVATE = 0o600


def context_name(profile: Profile) -> str:
    """The name of the context, so that a prompt that shows it tells the clusters apart."""
    return f"gradient-{profile.name}"


def render(profile: Profile, user: str, *, embedded: bool) -> str:
    """The kubeconfig of the holder of the certificate `user`."""
    pki = profile.state / "pki"
    parts = {
        "certificate-authority": pki / "ca.crt",
        "client-certificate": pki / f"{user}.crt",
        "client-key": pki / f"{user}.key",
    }
    values = {
        (f"{key}-data" if embedded else key): (encode(path) if embedded else str(path))
        for key, path in parts.items()
    }
    name = context_name(profile)
    cluster = {key: value for key, value in values.items() if key.startswith("certificate-")}
    credentials = {key: value for key, value in values.items() if key.startswith("client-")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": profile.server, **cluster}}],
        "users": [{"name": f"{name}-{user}", "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-{user}"}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2) + "\n"


def encode(path: Path) -> str:
    """The file's content as a kubeconfig holds it."""
    return base64.b64encode(path.read_bytes()).decode()


def component_kubeconfig(profile: Profile, user: str) -> Path:
    """Write and return the kubeconfig of a component."""
    path = profile.state / "kubeconfigs" / f"{user}.kubeconfig"
    write_atomically(path, render(profile, user, embedded=False), mode=PRIVATE)
    return path


def write_admin_kubeconfig(profile: Profile) -> bool:
    """Give the checkout its kubeconfig; whether it was not there or led elsewhere.

    Everything is embedded: a copy of the file works from any folder.
    """
    content = render(profile, "admin", embedded=True)
    path = profile.kubeconfig
    if path.is_file() and not path.is_symlink() and path.read_text() == content:
        path.chmod(PRIVATE)
        return False
    write_atomically(path, content, mode=PRIVATE)
    give_to_owner(path)
    return True


def remove_admin_kubeconfig(profile: Profile) -> None:
    """Take the kubeconfig away if it leads to this cluster and not, say, to one made by kind."""
    try:
        current = json.loads(profile.kubeconfig.read_text()).get("current-context")
    except (OSError, ValueError, AttributeError):
        return
    if current == context_name(profile):
        profile.kubeconfig.unlink()
