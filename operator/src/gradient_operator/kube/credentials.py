"""Where the API server is and how to prove who we are to it.

Reads the service account of a Pod or a kubeconfig's simple users (client certificate, token,
basic) itself, because the official library takes more than a second to import; that library is
imported for exec plugins and auth providers alone.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_LIFE: Final = 60.0
"""Seconds after which a token file is read again: the kubelet replaces it in place."""


class CredentialsError(Exception):
    """The API server's address or the credentials cannot be found out; the message says why."""


class Authorization(Protocol):
    """Gives the value of the `Authorization` header."""

    async def header(self) -> str | None:
        """Return the header's value as of now; None if the connection itself is proof enough."""

    def expire(self) -> None:
        """The server refused the last value: obtain a new one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A server and how to speak with it."""

    server: str
    """Scheme, host and port, without a slash at the end."""
    authorization: Authorization
    tls: ssl.SSLContext | None = None
    tls_name: str | None = None
    """The name that the server's certificate must have, if not the host's."""
    proxy: str | None = None
    namespace: str = "default"


@dataclass(slots=True)
class FixedHeader:
    """A header that never changes: basic authentication, or none at all."""

    value: str | None = None

    async def header(self) -> str | None:
        """Return the value."""
        return self.value

    def expire(self) -> None:
        """Nothing can be renewed."""


@dataclass(slots=True)
class TokenFile:
    """A bearer token in a file, read again every 60 s and after the server refused it."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    _value: str = ""
    _read_at: float = float("-inf")

    async def header(self) -> str | None:
        """Return `Bearer` and the token.

        Raises:
            CredentialsError: the file cannot be read, and never could.
        """
        if self.clock() >= self._read_at + TOKEN_LIFE:
            self._read()
        return f"Bearer {self._value}"

    def expire(self) -> None:
        """Read the file before the next request."""
        self._read_at = float("-inf")

    def _read(self) -> None:
        try:
            self._value = self.path.read_text().strip()
        except OSError as error:
            if not self._value:  # an old token is better than none: the server will tell
                raise CredentialsError(f"cannot read the token: {error}") from error
        self._read_at = self.clock()


@dataclass(slots=True)
class Plugin:
    """A token that an exec plugin gives; asked again after the server refused it."""

    run: Callable[[], dict[str, Any]]
    status: dict[str, Any] | None
    """What the plugin said last; None: ask it."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def header(self) -> str | None:
        """Return the token, if the plugin gives one; it runs in a thread, once at a time.

        Raises:
            CredentialsError: the plugin failed.
        """
        async with self._turn:
            if self.status is None:
                self.status = await asyncio.to_thread(self.run)
        return f"Bearer {self.status['token']}" if self.status.get("token") else None

    def expire(self) -> None:
        """Ask the plugin again before the next request."""
        self.status = None


def load_credentials(path: Path | None = None, *, context: str | None = None) -> Credentials:
    """Find the API server: `path`, else `KUBECONFIG`, else the Pod's own account, else the home's.

    Raises:
        CredentialsError: nothing was found, or what was found cannot be used.
    """
    if in_own_cluster(path, context=context):
        return in_cluster_credentials()
    named = os.environ.get("KUBECONFIG", "")
    paths = [path] if path else [Path(part) for part in named.split(os.pathsep) if part]
    return kubeconfig_credentials(paths or [Path.home() / ".kube" / "config"], context=context)


def in_own_cluster(path: Path | None = None, *, context: str | None = None) -> bool:
    """Whether this is a Pod of the cluster that `load_credentials` finds: its Services are near."""
    chosen = path is not None or context is not None or bool(os.environ.get("KUBECONFIG"))
    in_a_pod = "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists()
    return in_a_pod and not chosen


def in_cluster_credentials(directory: Path = SERVICE_ACCOUNT) -> Credentials:
    """Use the service account that the kubelet mounted into this Pod."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = directory / "namespace"
    return Credentials(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        authorization=TokenFile(directory / "token"),
        tls=_context((directory / "ca.crt").read_text()),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def kubeconfig_credentials(paths: list[Path], *, context: str | None = None) -> Credentials:
    """Use a context of one or more kubeconfig files; of equal names the first counts."""
    files = [(file, _read_kubeconfig(file)) for file in paths if file.exists()]
    if not files:
        listed = ", ".join(map(str, paths))
        raise CredentialsError(
            f"no kubeconfig at {listed}: set KUBECONFIG to the cluster's kubeconfig file"
        )
    name = context or next(
        (str(found) for _, config in files if (found := config.get("current-context"))), None
    )
    if name is None:
        raise CredentialsError("the kubeconfig has no current-context: choose one with --context")
    _, chosen = _entry(files, "contexts", "context", name)
    cluster_file, cluster = _entry(files, "clusters", "cluster", chosen.get("cluster", ""))
    user_file, user = (
        _entry(files, "users", "user", chosen["user"]) if chosen.get("user") else (cluster_file, {})
    )
    authorization, certificate = _user(user_file, user, cluster)
    server = str(cluster.get("server", "")).rstrip("/")
    return Credentials(
        server=server,
        authorization=authorization,
        tls=_tls(cluster_file, cluster, certificate) if server.startswith("https") else None,
        tls_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
        namespace=chosen.get("namespace") or "default",
    )


def _read_kubeconfig(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load(path.read_text(), Loader=loader)  # noqa: S506 - both loaders are safe
    except (OSError, yaml.YAMLError) as error:
        raise CredentialsError(f"cannot read the kubeconfig {path}: {error}") from error
    if not isinstance(config, dict):
        raise CredentialsError(f"{path} is no kubeconfig")
    return config


def _entry(
    files: list[tuple[Path, dict[str, Any]]], section: str, key: str, name: str
) -> tuple[Path, dict[str, Any]]:
    for path, config in files:
        for entry in config.get(section) or []:
            if entry.get("name") == name:
                return path, entry.get(key) or {}
    raise CredentialsError(f"the kubeconfig has no {key} {name!r}: see `kubectl config view`")


def _user(
    path: Path, user: dict[str, Any], cluster: dict[str, Any]
) -> tuple[Authorization, tuple[bytes, bytes] | None]:
    """Return what goes into the header, and the client certificate with its key (PEM)."""
    if "as" in user or "as-uid" in user:
        raise CredentialsError(f"{path}: a user that impersonates another (`as`) cannot be used")
    if "auth-provider" in user:
        raise CredentialsError(
            f"{path}: auth-provider ended with Kubernetes 1.26: use an exec plugin"
        )
    if "exec" in user:
        return _plugin(path, user["exec"], cluster)
    certificate = None
    if "client-certificate" in user or "client-certificate-data" in user:
        certificate = (
            _data(path, user, "client-certificate"),
            _data(path, user, "client-key"),
        )
    if user.get("tokenFile"):
        return TokenFile(path.parent / user["tokenFile"]), certificate
    if user.get("token"):
        return FixedHeader(f"Bearer {user['token']}"), certificate
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return FixedHeader(f"Basic {base64.b64encode(pair).decode()}"), certificate
    return FixedHeader(), certificate


def _plugin(
    path: Path, command: dict[str, Any], cluster: dict[str, Any]
) -> tuple[Authorization, tuple[bytes, bytes] | None]:
    """Let the official library run an exec plugin; a certificate of it is taken once."""
    from kubernetes.config import ConfigException  # noqa: PLC0415 - takes more than a second
    from kubernetes.config.exec_provider import ExecProvider  # noqa: PLC0415
    from kubernetes.config.kube_config import ConfigNode  # noqa: PLC0415

    node: Any = ConfigNode  # the library is untyped here
    provider: Any = ExecProvider

    def run() -> dict[str, Any]:
        try:
            given: dict[str, Any] = provider(
                node("exec", command), str(path.parent), node("cluster", cluster)
            ).run()
        except (ConfigException, OSError) as error:
            raise CredentialsError(f"{path}: the login plugin failed: {error}") from error
        return given

    first = run()
    certificate = None
    if first.get("clientCertificateData"):
        certificate = (
            first["clientCertificateData"].encode(),
            first.get("clientKeyData", "").encode(),
        )
    return Plugin(run, first), certificate


def _data(path: Path, entry: dict[str, Any], key: str) -> bytes:
    """Return `<key>-data` decoded, or the contents of the file that `key` names."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"])
    if not entry.get(key):
        raise CredentialsError(f"{path}: {key} is missing")
    try:
        return Path(path.parent, entry[key]).read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path}: cannot read {key}: {error}") from error


def _tls(
    path: Path, cluster: dict[str, Any], certificate: tuple[bytes, bytes] | None
) -> ssl.SSLContext:
    try:
        authority = None
        if "certificate-authority" in cluster or "certificate-authority-data" in cluster:
            authority = _data(path, cluster, "certificate-authority").decode()
        context = _context(authority)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate:
            _load_certificate(context, certificate)
    except ssl.SSLError as error:
        raise CredentialsError(f"{path}: unusable certificate or key: {error}") from error
    return context


def _context(authority: str | None) -> ssl.SSLContext:
    """Trust `authority` (PEM), or without one what this machine trusts."""
    context = ssl.create_default_context(cadata=authority)
    # Python 3.13 refuses authorities without a key identifier, which many clusters have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load_certificate(context: ssl.SSLContext, certificate: tuple[bytes, bytes]) -> None:
    """Python's TLS reads certificates from files only: lend it two for a moment."""
    with tempfile.TemporaryDirectory(prefix="gradient-") as directory:
        files = [Path(directory, name) for name in ("certificate", "key")]
        for file, data in zip(files, certificate, strict=True):
            file.touch(mode=0o600)
            file.write_bytes(data)
        context.load_cert_chain(*map(str, files))
