"""The way from here to the object storage: direct, elsewhere, or a forwarded port.

A Pod of the cluster (the collector is one) reaches its Services itself.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gradient_operator.cli.errors import CommandError
from gradient_operator.kube.credentials import in_own_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradient_operator.cli.options import Target
    from gradient_operator.datasets.location import StorageLocation

SECONDS_TO_START: Final = 15.0
_SECONDS_TO_END: Final = 5.0
_SERVICE: Final = re.compile(
    r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\.cluster\.local)?\.?"
)
_READY: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_PORTS: Final = {"http": 80, "https": 443}


@contextmanager
def reachable(
    location: StorageLocation,
    *,
    endpoint: str | None,
    target: Target,
    say: Callable[[str], None],
) -> Iterator[StorageLocation]:
    """The location as this machine reaches it, for as long as the body runs.

    Args:
        location: as the cluster's own Pods reach it.
        endpoint: the address to use instead, if somebody gave one.
        target: the cluster, for kubectl.
        say: told when a port is forwarded.

    Raises:
        CommandError: the endpoint is no URL, or kubectl is missing or fails.
    """
    if endpoint:
        yield _elsewhere(location, endpoint)
        return
    parts = urlsplit(location.endpoint)
    service = _SERVICE.fullmatch(parts.hostname or "")
    path = Path(target.kubeconfig) if target.kubeconfig else None
    if service is None or in_own_cluster(path, context=target.context):
        yield location
        return
    if parts.scheme == "https":
        raise CommandError(
            f"The object storage {location.endpoint} is a Service with TLS, whose certificate does "
            "not fit a forwarded port: give an address that reaches it with --endpoint."
        )
    say(
        f"The object storage is Service {service['name']} in namespace {service['namespace']}: "
        "kubectl forwards a port to it."
    )
    port = parts.port or _PORTS["http"]
    command = [_kubectl(), *_cluster_options(target), "port-forward", "--address", "127.0.0.1"]
    command += ["-n", service["namespace"], f"service/{service['name']}", f":{port}"]
    with _forwarded(command) as local:
        yield _elsewhere(location, f"http://127.0.0.1:{local}")


def _elsewhere(location: StorageLocation, endpoint: str) -> StorageLocation:
    try:
        return replace(location, endpoint=endpoint, allow_http=endpoint.startswith("http://"))
    except ValueError as error:
        raise CommandError(f"--endpoint: {error}.") from None


def _kubectl() -> str:
    """Where kubectl is: on PATH, or where `make cluster` put it."""
    local = Path(".local/bin/kubectl").absolute()
    found = shutil.which("kubectl") or (str(local) if local.exists() else None)
    if found is None:
        raise CommandError(
            "The object storage is a Service of the cluster, and kubectl, which would forward a "
            "port to it, is not on PATH: install it, or give an address with --endpoint."
        )
    return found


def _cluster_options(target: Target) -> list[str]:
    options = []
    if target.kubeconfig:
        options += ["--kubeconfig", target.kubeconfig]
    if target.context:
        options += ["--context", target.context]
    return options


@contextmanager
def _forwarded(command: list[str]) -> Iterator[int]:
    """Run kubectl while the body runs; gives the local port."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            yield _port(process, errors)
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _port(process: subprocess.Popen[str], errors: IO[str]) -> int:
    lines: Queue[str | None] = Queue()
    # kubectl writes a line per connection: somebody must read them, or it stops at a full pipe.
    Thread(target=_drain, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=SECONDS_TO_START)
        except Empty:
            line = None
        if line is None:
            errors.seek(0)
            said = errors.read().strip() or "it said nothing"
            raise CommandError(
                f"kubectl could not forward a port to the object storage: {said}. Check that its "
                "Pods run, or give an address with --endpoint."
            )
        ready = _READY.search(line)
        if ready:
            return int(ready[1])


def _drain(stream: IO[str], lines: Queue[str | None]) -> None:
    try:
        for line in stream:
            if lines.empty():
                lines.put(line)
    except ValueError:
        return  # closed at the end of the command
    finally:
        lines.put(None)
