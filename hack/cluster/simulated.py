"""Nodes without machines: KWOK plays their kubelets, at thousands of pods a second.

A pod on a simulated node runs and succeeds at once. Tests that play the kubelet themselves opt
out, in either of two ways:

* a pod labelled `gradient.run/simulate=manual`, on whatever node;
* a pod on one of the nodes `manual-cpu` and `manual-gpu`. They carry the label and the taint
  `gradient.run/simulate=manual`, so that only pods that ask for them get there, and KWOK keeps
  them ready, but touches no pod on them.

KWOK's own stages for pods are not used: they complete only pods of Jobs, and on deletion they
remove finalizers, where a kubelet ends the containers, reports how they ended, and leaves
finalizers alone.
"""

from __future__ import annotations

import json
from typing import Any

from hack.cache import write_atomically
from hack.cluster.api import Api, wait_until
from hack.cluster.kubeconfig import component_kubeconfig
from hack.cluster.nodes import node_ready
from hack.cluster.processes import Component, ProcessTable
from hack.cluster.profile import GPU_RESOURCE, POOL_LABEL, Profile
from hack.cluster.storage import MANUAL_LABEL, NAMESPACE

CPU_NODES, GPU_NODES = 12, 8
GPUS_PER_NODE = 8
FAKE_ANNOTATION = "kwok.x-k8s.io/node"
SECONDS = 60.0
POD_ADDRESSES = "198.18.128.1/17"

# The provisioner's own pods must run on every node, or claims on the manual nodes would never bind.
LEFT_ALONE = (
    f'((.metadata.labels["{MANUAL_LABEL}"] // "") == "manual") or '
    f'(((.spec.nodeName // "") | startswith("manual-")) and (.metadata.namespace != "{NAMESPACE}"))'
)


def node_object(name: str, *, pool: str, manual: bool) -> dict[str, Any]:
    """A node of `pool` that is large enough never to be the limit."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "type": "kwok",
        POOL_LABEL: pool,
    }
    taint = {"key": MANUAL_LABEL, "value": "manual", "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**labels, **({MANUAL_LABEL: "manual"} if manual else {})},
            "annotations": {FAKE_ANNOTATION: "fake"},
        },
        "spec": {"taints": [taint]} if manual else {},
    }


def node_capacity(gpus: int) -> dict[str, str]:
    """What a simulated node offers."""
    gpu = {GPU_RESOURCE: str(gpus)} if gpus else {}
    return {"cpu": "256", "memory": "4Ti", "ephemeral-storage": "10Ti", "pods": "10000", **gpu}


def simulated_nodes() -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Every node with its capacity: two pools, and two nodes that tests play themselves."""
    names = [(f"cpu-{number}", "cpu", 0, False) for number in range(1, CPU_NODES + 1)]
    names += [(f"gpu-{number}", "gpu", GPUS_PER_NODE, False) for number in range(1, GPU_NODES + 1)]
    names += [("manual-cpu", "cpu", 0, True), ("manual-gpu", "gpu", GPUS_PER_NODE, True)]
    return [
        (node_object(name, pool=pool, manual=manual), node_capacity(gpus))
        for name, pool, gpus, manual in names
    ]


RUN_STATUS = """
{{ $now := Now }}
conditions:
{{ range $type := list "PodReadyToStartContainers" "Initialized" "Ready" "ContainersReady" }}
- type: {{ $type | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: true
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: true
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
{{ $host := or .spec.hostNetwork false }}
{{ $ip := PodIPWith .spec.nodeName $host .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ $ip | Quote }}
startTime: {{ $now | Quote }}
phase: Running
"""


def end_status(*, phase: str, exit_code: int, reason: str) -> str:
    """The status of a pod all of whose containers have ended in the same way."""
    containers = f"""
{{{{ range .spec.KIND }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  restartCount: 0
  ready: false
  started: false
  state:
    terminated:
      exitCode: {exit_code}
      reason: {reason}
      startedAt: {{{{ $now | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}"""
    return f"""
{{{{ $now := Now }}}}
conditions:
- type: Ready
  status: "False"
  reason: Pod{phase}
  lastTransitionTime: {{{{ $now | Quote }}}}
- type: ContainersReady
  status: "False"
  reason: Pod{phase}
  lastTransitionTime: {{{{ $now | Quote }}}}
initContainerStatuses:{containers.replace("KIND", "initContainers")}
containerStatuses:{containers.replace("KIND", "containers")}
phase: {phase}
"""


def stage(name: str, conditions: list[dict[str, Any]], following: dict[str, Any]) -> dict[str, Any]:
    """A step in the life of a pod that KWOK makes when all `conditions` hold."""
    opted_in = {"key": LEFT_ALONE, "operator": "NotIn", "values": ["true"]}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [opted_in, *conditions]},
            "next": following,
        },
    }


def pod_stages() -> list[dict[str, Any]]:
    """The life of a simulated pod: it runs, completes if it ever does, and obeys a deletion."""
    phase, deleted = ".status.phase", ".metadata.deletionTimestamp"
    alive = {"key": deleted, "operator": "DoesNotExist"}
    dying = {"key": deleted, "operator": "Exists"}
    ended = ["Succeeded", "Failed"]
    return [
        stage(
            "pod-run",
            [alive, {"key": phase, "operator": "In", "values": ["Pending"]}],
            {"statusTemplate": RUN_STATUS},
        ),
        stage(
            "pod-complete",
            [
                alive,
                {"key": phase, "operator": "In", "values": ["Running"]},
                # Pods of Deployments and the like run on.
                {"key": ".spec.restartPolicy", "operator": "NotIn", "values": ["Always"]},
            ],
            {"statusTemplate": end_status(phase="Succeeded", exit_code=0, reason="Completed")},
        ),
        stage(
            "pod-terminate",
            [dying, {"key": phase, "operator": "NotIn", "values": ended}],
            {"statusTemplate": end_status(phase="Failed", exit_code=143, reason="Error")},
        ),
        stage(
            "pod-delete",
            [
                dying,
                {"key": phase, "operator": "In", "values": ended},
                # 0 says that the kubelet is done, and only finalizers keep the object.
                {
                    "key": ".metadata.deletionGracePeriodSeconds",
                    "operator": "NotIn",
                    "values": ["0"],
                },
            ],
            {"delete": True},
        ),
    ]


def kwok_component(profile: Profile, program: str) -> Component:
    """KWOK as a process beside the control plane."""
    path = profile.state / "stages.yaml"
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {"podPlayStageParallelism": 16, "nodePlayStageParallelism": 4},
    }
    documents = [json.dumps(document, indent=2) for document in (options, *pod_stages())]
    write_atomically(path, "\n---\n".join(documents) + "\n")
    return Component(
        "kwok",
        (
            program,
            f"--kubeconfig={component_kubeconfig(profile, 'admin')}",
            f"--config={path}",
            # It writes a line for every heartbeat otherwise.
            "-v=WARN",
            f"--cidr={POD_ADDRESSES}",
            "--node-ip=198.18.127.1",
            "--node-lease-duration-seconds=40",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={FAKE_ANNOTATION}=fake",
        ),
    )


def apply_nodes(profile: Profile) -> None:
    """Make the simulated nodes with what they offer."""
    api = Api(profile)
    for document, capacity in simulated_nodes():
        api.apply(document)
        operations: list[dict[str, Any]] = [
            {"op": "add", "path": f"/status/{part}", "value": capacity}
            for part in ("capacity", "allocatable")
        ]
        api.patch_status(f"/api/v1/nodes/{document['metadata']['name']}", operations)


def wait_for_simulated_nodes(profile: Profile, table: ProcessTable) -> None:
    """Wait until KWOK has made every node ready."""
    api = Api(profile)
    wanted = {document["metadata"]["name"] for document, _ in simulated_nodes()}

    def ready() -> bool:
        items = (api.get("/api/v1/nodes") or {}).get("items", [])
        return wanted <= {item["metadata"]["name"] for item in items if node_ready(item)}

    wait_until(
        ready,
        what="the simulated nodes are ready",
        seconds=SECONDS,
        meanwhile=lambda: table.require("kwok"),
    )
