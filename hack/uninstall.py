"""`python3 -m hack.uninstall`: takes everything of ours out of the cluster, and leaves nothing.

It does not count on the operator, which may be gone or broken: finalizers that only it would
remove are removed here. What lies in a bucket outside the cluster stays there.
"""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hack.errors import SetupError
from hack.install import NAMESPACE, Kubectl, find_kubectl
from hack.steps import complain, say, step

GROUP = "gradient.run"
PART_OF = "app.kubernetes.io/part-of=gradient"
MANAGED = "app.kubernetes.io/managed-by=gradient-operator"
OPERATOR_PODS = "app.kubernetes.io/name=gradient-operator"
OURS = f"/apis/{GROUP}/v1alpha1"
# Runs before workflows: a workflow takes its runs with it, and they are to be freed first.
KINDS = (
    "gradientruns",
    "gradientworkflows",
    "gradientmodels",
    "gradientdatasetversions",
    "gradientdatasets",
    "gradientstorageproviders",
    "gradientinstancetypes",
)
CORE = "/api/v1"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
GRACE_SECONDS = 30
"""For Pods that still run; their own grace may be an hour, which is meant for uploads."""
WAIT_SECONDS = 180.0
POLL_SECONDS = 0.5
PROXY_SECONDS = 15.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection of the API, and which of its objects are ours."""

    prefix: str
    plural: str
    selector: str = ""

    def path(self, *, namespace: str = "", name: str = "", **query: str | int) -> str:
        """The path of the collection in all namespaces or in one, or of one object."""
        parts = [self.prefix, *(["namespaces", namespace] if namespace else []), self.plural]
        if self.selector and not name:
            query |= {"labelSelector": self.selector}
        return "/".join([*parts, *([name] if name else [])]) + ("?" + urlencode(query)) * bool(
            query
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is to go."""

    namespace: str
    name: str
    finalizers: tuple[str, ...] = ()

    @property
    def foreign(self) -> tuple[str, ...]:
        """The finalizers of other programs, which do their own work before they let it go."""
        return tuple(each for each in self.finalizers if not each.startswith(f"{GROUP}/"))

    def __str__(self) -> str:
        """As a person looks it up."""
        held = f" (held by {', '.join(self.foreign)})" if self.foreign else ""
        return f"{self.namespace}/{self.name}{held}" if self.namespace else f"{self.name}{held}"


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(slots=True)
class Api:
    """The API server through `kubectl proxy`: kubectl itself makes five requests a second."""

    connection: http.client.HTTPConnection
    wait_seconds: float = WAIT_SECONDS
    _headers: Mapping[str, str] = field(default_factory=lambda: {"Accept": "application/json"})

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """The answer to one request, or None for what is not there.

        Raises:
            SetupError: the API server refused; its sentence is in the message.
        """
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {**self._headers, "Content-Type": f"application/{kind}"}
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, body=text, headers=headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status == http.HTTPStatus.NOT_FOUND:
            return None
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            said = content.decode(errors="replace")[:500]
            raise SetupError(f"the API server refused {method} {path}: {said}")
        answer: dict[str, Any] = json.loads(content)
        return answer

    def find(self, resource: Resource) -> list[Found]:
        """All objects of ours of a resource, in all namespaces; none where it is unknown."""
        found: list[Found] = []
        proceed = ""
        while True:
            more = {"continue": proceed} if proceed else {}
            page = self.call("GET", resource.path(limit=PAGE, **more)) or {}
            found += [read(item) for item in page.get("items", [])]
            proceed = page.get("metadata", {}).get("continue", "")
            if not proceed:
                return found

    def remove(self, resource: Resource, *, grace: int | None = None, orphan: bool = False) -> None:
        """Delete all objects of a resource, free those that wait for us, and wait for the rest.

        With `orphan` what they made stays.
        """
        options: dict[str, Any] = {} if grace is None else {"gracePeriodSeconds": grace}
        if orphan:
            options["propagationPolicy"] = "Orphan"
        found = self.find(resource)
        for namespace in sorted({each.namespace for each in found}):
            self.call("DELETE", resource.path(namespace=namespace), options)
        for each in found:
            self.release(resource, each)
        self.wait(resource)

    def release(self, resource: Resource, found: Found) -> None:
        """Remove our finalizers, and only ours."""
        if len(found.foreign) < len(found.finalizers):
            patch = {"metadata": {"finalizers": [*found.foreign]}}
            self.call("PATCH", resource.path(namespace=found.namespace, name=found.name), patch)

    def wait(self, resource: Resource) -> None:
        """Until no object of a resource is left.

        Raises:
            SetupError: some are left; the message names them and who holds them.
        """
        deadline = time.monotonic() + self.wait_seconds
        while left := self.find(resource):
            if time.monotonic() > deadline:
                names = ", ".join(str(each) for each in left[:5])
                raise SetupError(
                    f"{len(left)} {resource.plural} are still there after "
                    f"{self.wait_seconds:.0f} s: {names}; see why with `kubectl describe`, "
                    "then repeat `make uninstall`"
                )
            for each in left:
                self.release(resource, each)
            time.sleep(POLL_SECONDS)

    def remove_namespace(self, name: str) -> None:
        """Delete a namespace and wait until it is gone."""
        resource = Resource(CORE, "namespaces")
        self.call("DELETE", resource.path(name=name), {})
        deadline = time.monotonic() + self.wait_seconds
        while self.call("GET", resource.path(name=name)) is not None:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"the namespace {name} is still there after {self.wait_seconds:.0f} s; its "
                    f"conditions say why: kubectl describe namespace {name}"
                )
            time.sleep(POLL_SECONDS)


def read(item: Mapping[str, Any]) -> Found:
    """What of an object matters here."""
    metadata = item["metadata"]
    finalizers = tuple(metadata.get("finalizers", ()))
    return Found(metadata.get("namespace", ""), metadata["name"], finalizers)


@contextmanager
def proxy(kubectl: Kubectl) -> Iterator[Api]:
    """The API server behind a socket that only this user can open."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "api"
        process = subprocess.Popen(
            [kubectl.program, "proxy", f"--unix-socket={path}"],
            env=kubectl.full_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + PROXY_SECONDS
            while not path.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SetupError("`kubectl proxy` does not start; try it by hand to see why")
                time.sleep(0.02)
            yield Api(_SocketConnection(path))
        finally:
            process.terminate()
            process.wait()


def remove_all(api: Api, resources: Sequence[Resource]) -> None:
    """Remove one resource after the other."""
    for resource in resources:
        api.remove(resource)


def uninstall(api: Api) -> None:
    """Every step, in order."""
    with step("operator stopped"):
        # First of all, so that nothing is made again while it is being removed.
        remove_all(api, [Resource("/apis/apps/v1", "deployments", PART_OF)])
        api.wait(Resource(CORE, "pods", OPERATOR_PODS))
    with step("Pods of runs removed in all namespaces"):
        # Before their runs: garbage collection would give them an upload's hour to end.
        api.remove(Resource(CORE, "pods", MANAGED), grace=GRACE_SECONDS)
    for plural in KINDS:
        with step(f"{plural} removed"):
            api.remove(Resource(OURS, plural))
    with step("claims and credentials of runs removed in all namespaces"):
        remove_all(
            api,
            [
                Resource(CORE, "persistentvolumeclaims", MANAGED),
                Resource(CORE, "secrets", MANAGED),
            ],
        )
    with step("object storage in the cluster stopped"):
        # Its data goes with the namespace. Left to that its Pod takes all of its grace, and the
        # namespace looks at what is left only now and then; and a Pod is asked to stop once.
        api.remove(Resource("/apis/apps/v1", "statefulsets", PART_OF), orphan=True)
        api.remove(Resource(CORE, "pods", PART_OF), grace=1)
    with step("custom resource definitions removed"):
        definitions = "/apis/apiextensions.k8s.io/v1"
        remove_all(api, [Resource(definitions, "customresourcedefinitions", PART_OF)])
    with step(f"cluster roles and the namespace {NAMESPACE} removed"):
        roles = [
            Resource(ROLES, f"cluster{plural}", PART_OF) for plural in ("rolebindings", "roles")
        ]
        remove_all(api, roles)
        api.remove_namespace(NAMESPACE)


def main() -> int:
    """Uninstall; every failure is one sentence and exit code 1."""
    try:
        with proxy(find_kubectl()) as api:
            uninstall(api)
    except (SetupError, OSError, http.client.HTTPException) as problem:
        complain(f"uninstall: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("uninstall: interrupted; repeat `make uninstall` to go on where it stopped")
        return 130
    say("Nothing of the operator is left in the cluster.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
