"""Writes the status of exactly one object, and never that of another one of the same name.

The API server ignores a UID in a patch of a custom resource's status. An operator whose watch is
late would write what became of a deleted run onto the run that was made anew under its name, and
that one would never start. It does heed a version, so each write names the version that it is for.
"""

from collections.abc import Mapping
from typing import Any, Final

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.resources import Resource

_TRIES: Final = 5
"""Attempts against others that write the object meanwhile: people who cancel, our own finalizer."""


async def patch_status(
    client: KubeClient,
    resource: Resource,
    status: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    uid: str,
    version: str,
) -> dict[str, Any]:
    """Merge into the status of the object with this UID, and return the object's metadata.

    `version` is the latest `resourceVersion` of it that is known; an older one costs two requests.

    Raises:
        NotFound: it is gone, even if another one has its name now.
        KubeError: the API server did not take it; try again.
    """
    for _ in range(_TRIES):
        body = {"metadata": {"resourceVersion": version}, "status": status}
        try:
            return await client.merge_patch(
                resource, body, name=name, namespace=namespace, subresource="status", brief=True
            )
        except Conflict:
            found = await client.get(resource, name=name, namespace=namespace)
            if found["metadata"]["uid"] != uid:
                raise NotFound(f"{resource.kind} {name} is another one now") from None
            version = found["metadata"]["resourceVersion"]
    raise Conflict(f"{resource.kind} {name} keeps changing: its status will be written later")


def latest(*versions: str) -> str:
    """The newest of some versions of one object; one that is no number cannot be compared."""
    return max(versions, key=lambda version: int(version) if version.isdecimal() else -1)
