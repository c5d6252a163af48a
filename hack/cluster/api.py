"""A few calls to the API server, by the standard library alone and faster than kubectl."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hack.errors import SetupError

if TYPE_CHECKING:
    from hack.cluster.profile import Profile

NOT_FOUND = 404
FIRST_ERROR = 400
FIELD_MANAGER = "gradient-cluster"
SECONDS = 10.0

# What the API server sends and takes is JSON of any shape.
Document = Mapping[str, Any]

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The status code and the decoded body."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Api:
    """The API server of one cluster, as its administrator."""

    profile: Profile

    def call(
        self, method: str, path: str, *, body: object = None, content: str = "application/json"
    ) -> Answer:
        """One request on a connection of its own; raises OSError while nobody listens."""
        pki = self.profile.state / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.profile.ports.api, context=context, timeout=SECONDS
        )
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers={"Content-Type": content})
            response = connection.getresponse()
            text = response.read().decode()
        except http.client.HTTPException as problem:
            raise ConnectionError(str(problem)) from problem
        finally:
            connection.close()
        return Answer(response.status, decode(text))

    def ready(self) -> bool:
        """Whether the API server says that it is."""
        try:
            return self.call("GET", "/readyz").status == http.client.OK
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """The object at `path`, or None where there is none."""
        answer = self.call("GET", path)
        if answer.status == NOT_FOUND:
            return None
        return checked(answer, f"reading {path}")

    def apply(self, document: Document) -> None:
        """Server-side apply: makes the object or brings it to this state, as often as one likes."""
        metadata = document["metadata"]
        path = PATHS[document["kind"]].format(namespace=metadata.get("namespace", ""))
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        answer = self.call(
            "PATCH",
            f"{path}/{metadata['name']}?{query}",
            body=document,
            content="application/apply-patch+yaml",
        )
        checked(answer, f"applying {document['kind']} {metadata['name']}")

    def patch_status(self, path: str, operations: Sequence[Mapping[str, object]]) -> None:
        """Change the status of the object at `path` by a JSON patch."""
        answer = self.call(
            "PATCH", f"{path}/status", body=operations, content="application/json-patch+json"
        )
        checked(answer, f"patching the status of {path}")


def decode(text: str) -> Any:
    """JSON where it is JSON; health checks answer in plain words."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def checked(answer: Answer, doing: str) -> Any:
    """The body of an answer that is no error."""
    if answer.status >= FIRST_ERROR:
        body = answer.body
        message = body.get("message") if isinstance(body, dict) else body
        raise SetupError(f"{doing} failed with status {answer.status}: {message}")
    return answer.body


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    seconds: float,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Wait for `condition`; `meanwhile` raises when there is no point in waiting on."""
    deadline = time.monotonic() + seconds
    while not condition():
        if meanwhile:
            meanwhile()
        if time.monotonic() > deadline:
            raise SetupError(f"{what}: not so after {seconds:.0f} s")
        time.sleep(0.1)
