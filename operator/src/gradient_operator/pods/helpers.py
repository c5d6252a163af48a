"""The helper containers `fetch` and `uploader`: what they are told, and what they may do.

They hold the storage credentials (as a mounted Secret, never in the environment) and run as root
with one capability, because users' images write files that only their owner may read.
"""

import hashlib
import json
from typing import Any, Final

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_MAIN, CONTAINER_UPLOADER
from gradient_operator.pods.request import (
    BlobCache,
    FetchedInput,
    PodRequest,
    Storage,
    StoredString,
)

HELPER: Final = "/app/.venv/bin/gradient-helper"
CREDENTIALS_PATH: Final = "/var/run/gradient/storage"
FETCHED_PATH: Final = "/fetched"
CACHE_PATH: Final = "/cache"

IDENTITY_PATH: Final = "/var/run/gradient/identity"
TOKEN_SECONDS: Final = 3_600
"""How long a token lives: the kubelet renews it, and the uploader trades it when main has ended."""
SKIPPED: Final = {
    "eks.amazonaws.com/skip-containers": CONTAINER_MAIN,
    "azure.workload.identity/skip-containers": CONTAINER_MAIN,
}
"""Tells the webhooks of clouds, which put identities into all containers, to leave main out."""

_CREDENTIALS: Final = {"name": "storage", "mountPath": CREDENTIALS_PATH, "readOnly": True}
_IDENTITY: Final = {"name": "storage", "mountPath": IDENTITY_PATH, "readOnly": True}
SECURITY: Final[dict[str, Any]] = {
    "runAsUser": 0,
    "runAsNonRoot": False,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def uploads(request: PodRequest) -> dict[str, list[dict[str, Any]]]:
    """What the uploader keeps: directories (datasets, copied volumes) and strings."""
    directories, strings = [], []
    for output in request.job.outputs:
        path = f"/outputs/{output.name}"
        if output.type == "string":
            strings.append({"name": output.name, "path": path})
        elif output.type == "dataset" or request.volumes[output.name].mode == "Copy":
            bases = list(request.bases)
            directories.append({"name": output.name, "path": path, "base": bases})
    return {"directories": directories, "strings": strings}


def fetches(request: PodRequest) -> list[dict[str, Any]]:
    """What `fetch` brings in."""
    items: list[dict[str, Any]] = []
    for item in request.inputs:
        path = f"{FETCHED_PATH}/{item.name}"
        if isinstance(item, FetchedInput):
            items.append(
                {
                    "path": path,
                    "digest": item.digest,
                    "bytes": item.bytes,
                    "writable": item.writable,
                }
            )
        elif isinstance(item, StoredString):
            items.append({"path": path, "string": {"ref": item.ref, "name": item.output}})
    return items


def fetch_container(request: PodRequest, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The init container that brings the inputs in; it alone sees the node's cache."""
    mounts = [{"name": "fetched", "mountPath": FETCHED_PATH}, _mount(request)]
    more = []
    cache = request.settings.blob_cache
    if cache is not None:
        mounts.append({"name": "blob-cache", "mountPath": CACHE_PATH})
        where = {"path": CACHE_PATH, "bytes": cache.bytes}
        more.append({"name": "GRADIENT_BLOB_CACHE", "value": json.dumps(where)})
    return {
        "name": CONTAINER_FETCH,
        "image": request.settings.helper_image,
        "command": [HELPER, "fetch"],
        "env": [
            *_storage_env(request),
            {"name": "GRADIENT_FETCH", "value": literal(json.dumps(items))},
            *more,
        ],
        "resources": _resources(),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def cache_volume(request: PodRequest, cache: BlobCache) -> dict[str, Any]:
    """The folder of the node that belongs to this namespace and this place in a bucket.

    A namespace that somebody else makes again under the same name meets the same folder only with
    the same bucket, and finds what is in it only through a manifest that its own keys can read
    there (docs/decisions/0011).
    """
    storage = _storage(request.storage)
    place = [request.run.namespace, storage.endpoint, storage.bucket, storage.prefix]
    name = hashlib.sha256(json.dumps(place).encode()).hexdigest()[:32]
    path = f"{cache.path}/{request.run.namespace}-{name}"
    return {"name": "blob-cache", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}


def uploader_container(
    request: PodRequest, work: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """The native sidecar that uploads once main has ended (KEP-753); it must be the last one.

    `postStart` keeps main from starting before the uploader can hear that main has ended.
    """
    return {
        "name": CONTAINER_UPLOADER,
        "image": request.settings.helper_image,
        "command": [HELPER, "upload"],
        "restartPolicy": "Always",
        "env": [
            *_storage_env(request),
            {"name": "GRADIENT_UPLOAD", "value": literal(json.dumps(work))},
            {"name": "GRADIENT_GRACE_SECONDS", "value": str(request.policy.upload_seconds)},
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        ],
        "lifecycle": {"postStart": {"exec": {"command": [HELPER, "wait-ready"]}}},
        "resources": _resources(),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "outputs", "mountPath": "/outputs"}, _mount(request)],
    }


def literal(text: str) -> str:
    """The text so that Kubernetes, which expands `$(NAME)` and `$$`, hands it on unchanged."""
    return text.replace("$", "$$")


def credentials_volume(storage: Storage) -> dict[str, Any]:
    """The volume with what opens the bucket; only our own containers mount it."""
    if storage.identity is None:
        secret = {"secretName": storage.secret, "defaultMode": 0o400}
        return {"name": "storage", "secret": secret}
    token = {
        "audience": storage.identity.audience,
        "expirationSeconds": TOKEN_SECONDS,
        "path": "token",
    }
    sources = [{"serviceAccountToken": token}]
    return {"name": "storage", "projected": {"sources": sources, "defaultMode": 0o400}}


def _mount(request: PodRequest) -> dict[str, Any]:
    has_identity = request.storage is not None and request.storage.identity is not None
    return _IDENTITY if has_identity else _CREDENTIALS


def _storage(storage: Storage | None) -> Storage:
    if storage is None:
        raise ValueError("a Pod with helpers needs a storage provider")
    return storage


def _storage_env(request: PodRequest) -> list[dict[str, Any]]:
    storage = _storage(request.storage)
    location = {
        "endpoint": storage.endpoint,
        "region": storage.region,
        "bucket": storage.bucket,
        "prefix": storage.prefix,
        "pathStyle": storage.path_style,
        "allowHttp": storage.endpoint.startswith("http://"),
    }
    variables = {"GRADIENT_STORAGE": json.dumps(location)}
    if storage.identity is not None:
        variables |= {
            "AWS_ROLE_ARN": storage.identity.role_arn,
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{IDENTITY_PATH}/token",
            "AWS_ROLE_SESSION_NAME": f"{request.run.namespace}.{request.run.name}"[:64],
            "AWS_REGION": storage.region,
        }
        if storage.identity.endpoint is not None:
            variables["AWS_ENDPOINT_URL_STS"] = storage.identity.endpoint
    return [{"name": name, "value": literal(value)} for name, value in variables.items()]


def _resources() -> dict[str, Any]:
    return {"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"memory": "384Mi"}}
