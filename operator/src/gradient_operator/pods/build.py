"""Builds the Pod of one attempt of a job."""

from typing import Any, Final

from gradient_operator.api import names
from gradient_operator.pods import actions, helpers
from gradient_operator.pods.helpers import literal
from gradient_operator.pods.names import label_value, pod_name
from gradient_operator.pods.request import (
    ClaimedInput,
    FetchedInput,
    PodRequest,
    StoredString,
    StringValue,
)
from gradient_operator.workflow.model import EnvVar
from gradient_operator.workflow.references import object_name

_PLAIN_GRACE_SECONDS: Final = 30


def build_pod(request: PodRequest) -> dict[str, Any]:
    """The manifest to create; the same request always gives the same manifest."""
    job, run = request.job, request.run
    fetches = helpers.fetches(request)
    uploads = helpers.uploads(request)
    uploading = bool(uploads["directories"] or uploads["strings"])
    init = []
    if fetches:
        init.append(helpers.fetch_container(request, fetches))
    if uploading:
        init.append(helpers.uploader_container(request, uploads))
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": (
            request.policy.upload_seconds if uploading else _PLAIN_GRACE_SECONDS
        ),
        "containers": [_main(request)],
        "volumes": _volumes(request, helping=bool(init), fetching=bool(fetches)),
    }
    if request.settings.priority_class is not None:
        spec["priorityClassName"] = request.settings.priority_class
    if init:
        spec["initContainers"] = init
        identity = request.storage.identity if request.storage is not None else None
        if identity is not None and identity.service_account is not None:
            spec["serviceAccountName"] = identity.service_account
    if job.registries:
        spec["imagePullSecrets"] = [{"name": object_name(name)} for name in job.registries]
    spec.update(_placement(request))
    name = pod_name(
        workflow=run.workflow or run.name, job=job.name, attempt=request.attempt, run_uid=run.uid
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(request, name),
        "spec": spec,
    }


def _metadata(request: PodRequest, name: str) -> dict[str, Any]:
    run = request.run
    labels = {
        names.LABEL_MANAGED_BY: names.MANAGER,
        names.LABEL_RUN: label_value(run.name),
        names.LABEL_RUN_UID: run.uid,
        names.LABEL_JOB: label_value(request.job.name),
        names.LABEL_ATTEMPT: str(request.attempt),
        **{f"{names.LABEL_VOLUME}/{claim}": "" for claim in request.held_claims},
    }
    if run.workflow:
        labels[names.LABEL_WORKFLOW] = label_value(run.workflow)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": run.namespace,
        "labels": labels,
        "annotations": {
            f"{names.GROUP}/job": request.job.name,
            f"{names.GROUP}/run": run.name,
            **helpers.SKIPPED,
            names.LABEL_INSTANCE_TYPE: request.job.instance_type,
            **{
                f"{names.ANNOTATION_STRING}/{index}": item.value
                for index, item in enumerate(_strings(request))
            },
        },
        "ownerReferences": [owner(run.name, run.uid)],
    }
    if request.settings.finalizer:
        metadata["finalizers"] = [names.FINALIZER_RESULT]
    return metadata


def owner(run: str, uid: str) -> dict[str, Any]:
    """The owner reference of what a run makes: it goes when the run goes."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "GradientRun",
        "name": run,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _main(request: PodRequest) -> dict[str, Any]:
    job = request.job
    container: dict[str, Any] = {
        "name": names.CONTAINER_MAIN,
        "image": job.image or request.settings.default_image,
        "env": _env(request),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(request),
    }
    if job.action in actions.COMMANDS:
        container["image"] = request.settings.helper_image
        container["command"] = [helpers.HELPER, actions.COMMANDS[job.action]]
        container["securityContext"] = helpers.SECURITY
    else:
        if job.command is not None:
            container["command"] = [literal(part) for part in job.command]
        if job.args is not None:
            container["args"] = [literal(part) for part in job.args]
    resources = _resources(request)
    if resources:
        container["resources"] = resources
    return container


def _env(request: PodRequest) -> list[dict[str, Any]]:
    run, job = request.run, request.job
    variables = {
        "PROJECT_ID": EnvVar("PROJECT_ID", run.namespace),
        "GRADIENT_WORKFLOW": EnvVar("GRADIENT_WORKFLOW", run.workflow),
        "GRADIENT_RUN": EnvVar("GRADIENT_RUN", run.name),
        "GRADIENT_JOB": EnvVar("GRADIENT_JOB", job.name),
        "GRADIENT_ATTEMPT": EnvVar("GRADIENT_ATTEMPT", str(request.attempt)),
        "GRADIENT_GIT_SHA": EnvVar("GRADIENT_GIT_SHA", run.git_sha),
    }
    variables.update({variable.name: variable for variable in actions.variables(job)})
    variables.update({variable.name: variable for variable in job.env})
    return [_variable(variable, request.policy.secret_name) for variable in variables.values()]


def _variable(variable: EnvVar, secret: str) -> dict[str, Any]:
    if variable.secret_key is None:
        return {"name": variable.name, "value": literal(variable.value)}
    key = {"name": secret, "key": variable.secret_key}
    return {"name": variable.name, "valueFrom": {"secretKeyRef": key}}


def _resources(request: PodRequest) -> dict[str, Any]:
    machine = request.machine
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    if machine.cpu is not None:
        requests["cpu"] = machine.cpu
    if machine.memory is not None:
        requests["memory"] = limits["memory"] = machine.memory
    if machine.gpu is not None:
        requests[machine.gpu.resource] = limits[machine.gpu.resource] = str(machine.gpu.count)
    if request.policy.outputs_size is not None:
        # Without a request the Pod would be the first to go when the node's disk runs full.
        requests["ephemeral-storage"] = request.policy.outputs_size
    found = {"requests": requests, "limits": limits}
    return {key: value for key, value in found.items() if value}


def _mounts(request: PodRequest) -> list[dict[str, Any]]:
    """`/inputs` and `/outputs` are ordinary writable folders; what is declared lies over them."""
    mounts: list[dict[str, Any]] = [
        {"name": "inputs", "mountPath": "/inputs"},
        {"name": "outputs", "mountPath": "/outputs"},
    ]
    mounts += [_input_mount(request, item, f"/inputs/{item.name}") for item in request.inputs]
    for output in request.job.outputs:
        record = request.volumes.get(output.name)
        if output.type == "volume" and record is not None and record.claim is not None:
            name = _claim_volume(request, record.claim)
            mounts.append(_claim_mount(name, f"/outputs/{output.name}", record.folder))
    if request.settings.storage_claim is not None:
        mounts.append({"name": "shared-storage", "mountPath": "/storage"})
    return mounts


def _input_mount(request: PodRequest, item: object, path: str) -> dict[str, Any]:
    if isinstance(item, StringValue):
        index = str(_strings(request).index(item))
        return {"name": "strings", "mountPath": path, "subPath": index, "readOnly": True}
    if isinstance(item, ClaimedInput):
        mount = _claim_mount(_claim_volume(request, item.claim), path, item.folder)
        return {**mount, "readOnly": item.read_only}
    if isinstance(item, FetchedInput):
        subpath = {"name": "fetched", "mountPath": path, "subPath": item.name}
        return {**subpath, "readOnly": not item.writable}
    if isinstance(item, StoredString):
        return {"name": "fetched", "mountPath": path, "subPath": item.name, "readOnly": True}
    raise TypeError(f"{item!r} is no resolved input")


def _claim_mount(volume: str, path: str, folder: str | None) -> dict[str, Any]:
    mount = {"name": volume, "mountPath": path}
    return mount if folder is None else {**mount, "subPath": folder}


def _volumes(request: PodRequest, *, helping: bool, fetching: bool) -> list[dict[str, Any]]:
    size = request.policy.outputs_size
    volumes: list[dict[str, Any]] = [
        {"name": "inputs", "emptyDir": {}},
        {"name": "outputs", "emptyDir": {"sizeLimit": size} if size is not None else {}},
    ]
    if fetching:
        volumes.append({"name": "fetched", "emptyDir": {}})
        if request.settings.blob_cache is not None:
            volumes.append(helpers.cache_volume(request, request.settings.blob_cache))
    if helping and request.storage is not None:
        volumes.append(helpers.credentials_volume(request.storage))
    strings = _strings(request)
    if strings:
        items = [
            {
                "path": str(index),
                "fieldRef": {
                    "fieldPath": f"metadata.annotations['{names.ANNOTATION_STRING}/{index}']"
                },
            }
            for index in range(len(strings))
        ]
        volumes.append({"name": "strings", "downwardAPI": {"items": items}})
    for claim in _claims(request):
        source = {"claimName": claim}
        volumes.append({"name": _claim_volume(request, claim), "persistentVolumeClaim": source})
    if request.settings.storage_claim is not None:
        source = {"claimName": request.settings.storage_claim}
        volumes.append({"name": "shared-storage", "persistentVolumeClaim": source})
    return volumes


def _strings(request: PodRequest) -> list[StringValue]:
    return [item for item in request.inputs if isinstance(item, StringValue)]


def _claims(request: PodRequest) -> list[str]:
    """The claims that the Pod mounts, each once."""
    found = [item.claim for item in request.inputs if isinstance(item, ClaimedInput)]
    found += [record.claim for record in request.volumes.values() if record.claim is not None]
    return list(dict.fromkeys(found))


def _claim_volume(request: PodRequest, claim: str) -> str:
    return f"volume-{_claims(request).index(claim)}"


def _placement(request: PodRequest) -> dict[str, Any]:
    machine = request.machine
    placement: dict[str, Any] = {}
    if machine.node_selector:
        placement["nodeSelector"] = dict(machine.node_selector)
    if machine.tolerations:
        placement["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True)
            for toleration in machine.tolerations
        ]
    if request.held_claims:
        # The scheduler lets the first Pod of a group that matches itself through: no placeholder.
        terms = [
            {
                "labelSelector": {
                    "matchExpressions": [
                        {"key": f"{names.LABEL_VOLUME}/{claim}", "operator": "Exists"}
                    ]
                },
                "topologyKey": "kubernetes.io/hostname",
            }
            for claim in request.held_claims
        ]
        placement["affinity"] = {
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        }
    return placement
