"""The storage classes: `standard` as kind has it, and `shared` for what many nodes write at once.

kind's class is rancher's local-path provisioner: a volume is a folder on the node of its first user
and stays there. Tests need that one, because much of what goes wrong with volumes goes wrong there,
and one that is ReadWriteMany, as a file server would provide.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hack.cache import write_atomically
from hack.cluster.api import Api
from hack.cluster.kubeconfig import component_kubeconfig
from hack.cluster.processes import Component

if TYPE_CHECKING:
    from hack.cluster.profile import Profile

NAMESPACE = "local-path-storage"
PROVISIONER = "rancher.io/local-path"
CONFIG_MAP = "local-path-config"
ACCOUNT = "local-path-provisioner-service-account"
HELPER_IMAGE = "localhost/busybox:1"
STANDARD, SHARED = "standard", "shared"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
ANY_NODE = "DEFAULT_PATH_FOR_NON_LISTED_NODES"
MANUAL_LABEL = "gradient.run/simulate"

SETUP = '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n'
TEARDOWN = '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n'


def helper_pod() -> dict[str, Any]:
    """The pod that makes and removes a volume's folder on its node.

    It keeps away from simulated nodes that nobody plays the kubelet of.
    """
    away = {"key": MANUAL_LABEL, "operator": "NotIn", "values": ["manual"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [away]}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
            },
            "containers": [
                {
                    "name": "helper-pod",
                    "image": HELPER_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                }
            ],
        },
    }


def class_settings(profile: Profile) -> dict[str, Any]:
    """Where the volumes of each class are: a folder for each node, and one for all of them."""
    volumes = profile.state / "volumes"
    listed = [
        {"node": node.name, "paths": [str(volumes / node.name)]} for node in profile.nodes
    ] or [{"node": ANY_NODE, "paths": [str(volumes / "node")]}]
    return {
        STANDARD: {"nodePathMap": listed},
        SHARED: {"sharedFileSystemPath": str(volumes / "shared")},
    }


def storage_class(name: str, *, default: bool, binding: str) -> dict[str, Any]:
    """A class of the provisioner."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {DEFAULT_CLASS: str(default).lower()}},
        "provisioner": PROVISIONER,
        "volumeBindingMode": binding,
        "reclaimPolicy": "Delete",
    }


def storage_objects() -> list[dict[str, Any]]:
    """What the provisioner needs in the cluster, and the classes."""
    place = {"namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **place}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG_MAP, **place},
            # The pods mount the scripts from here; the provisioner reads its own settings from
            # files.
            "data": {"setup": SETUP, "teardown": TEARDOWN},
        },
        storage_class(STANDARD, default=True, binding="WaitForFirstConsumer"),
        storage_class(SHARED, default=False, binding="Immediate"),
    ]


def provisioner_component(profile: Profile, program: str) -> Component:
    """The provisioner as a process beside the control plane."""
    settings = profile.state / "provisioner.json"
    document = {"nodePathMap": [], "storageClassConfigs": class_settings(profile)}
    write_atomically(settings, json.dumps(document, indent=2))
    pod = profile.state / "provisioner-pod.json"
    write_atomically(pod, json.dumps(helper_pod(), indent=2))
    return Component(
        "local-path-provisioner",
        (
            *(program, "start"),
            *("--config", str(settings)),
            *("--helper-pod-file", str(pod)),
            *("--helper-image", HELPER_IMAGE),
            *("--kubeconfig", str(component_kubeconfig(profile, "admin"))),
            *("--configmap-name", CONFIG_MAP),
            *("--namespace", NAMESPACE),
            *("--service-account-name", ACCOUNT),
            *("--provisioner-name", PROVISIONER),
        ),
    )


def make_volume_folders(profile: Profile) -> None:
    """The folders that volumes are made in."""
    for node in profile.nodes:
        (profile.state / "volumes" / node.name).mkdir(parents=True, exist_ok=True)
    (profile.state / "volumes" / "shared").mkdir(parents=True, exist_ok=True)


def apply_storage(profile: Profile) -> None:
    """Make the classes and what belongs to them."""
    api = Api(profile)
    for document in storage_objects():
        api.apply(document)
