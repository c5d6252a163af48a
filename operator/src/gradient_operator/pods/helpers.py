"""The helper containers `fetch` and `uploader`: what they are told, and what they may do.

They hold the storage credentials (as a mounted Secret, never in the environment) and run as root
with one capability, because users' images write files that only their owner may read.
"""

import json
from typing import Any, Final

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_UPLOADER
from gradient_operator.pods.request import FetchedInput, PodRequest, Storage, StoredString

HELPER: Final = "/app/.venv/bin/gradient-helper"
CREDENTIALS_PATH: Final = "/var/run/gradient/storage"
FETCHED_PATH: Final = "/fetched"

_CREDENTIALS: Final = {"name": "storage", "mountPath": CREDENTIALS_PATH, "readOnly": True}
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
    """The init container that brings the inputs in."""
    return {
        "name": CONTAINER_FETCH,
        "image": request.settings.helper_image,
        "command": [HELPER, "fetch"],
        "env": [
            _storage_env(request.storage),
            {"name": "GRADIENT_FETCH", "value": literal(json.dumps(items))},
        ],
        "resources": _resources(),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "fetched", "mountPath": FETCHED_PATH}, _CREDENTIALS],
    }


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
            _storage_env(request.storage),
            {"name": "GRADIENT_UPLOAD", "value": literal(json.dumps(work))},
            {"name": "GRADIENT_GRACE_SECONDS", "value": str(request.policy.upload_seconds)},
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        ],
        "lifecycle": {"postStart": {"exec": {"command": [HELPER, "wait-ready"]}}},
        "resources": _resources(),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "outputs", "mountPath": "/outputs"}, _CREDENTIALS],
    }


def literal(text: str) -> str:
    """The text so that Kubernetes, which expands `$(NAME)` and `$$`, hands it on unchanged."""
    return text.replace("$", "$$")


def _storage_env(storage: Storage | None) -> dict[str, Any]:
    if storage is None:
        raise ValueError("a Pod with helpers needs a storage provider")
    location = {
        "endpoint": storage.endpoint,
        "region": storage.region,
        "bucket": storage.bucket,
        "prefix": storage.prefix,
        "pathStyle": storage.path_style,
        "allowHttp": storage.endpoint.startswith("http://"),
    }
    return {"name": "GRADIENT_STORAGE", "value": literal(json.dumps(location))}


def _resources() -> dict[str, Any]:
    return {"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"memory": "384Mi"}}
