"""Why a Pod does not run yet: the cluster's words turned into a reason and a remedy.

The texts matched here are those of kube-scheduler and the kubelet (Kubernetes 1.29 to 1.34). What
is not recognised is passed on as it is: an unknown wait is better shown than hidden.
"""

import re
from dataclasses import dataclass

from gradient_operator.engine.image_pull import permanent
from gradient_operator.engine.model import ContainerRecord, PodRecord

_IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_MISSING_SECRET = re.compile(r'secret "(?P<secret>[^"]+)" not found')
_MISSING_KEY = re.compile(r"couldn't find key (?P<key>\S+) in Secret \S*?/?(?P<secret>[^/\s]+)$")
_PREEMPTION = re.compile(r"\s*(no new claims to deallocate, )?preemption:.*$", re.DOTALL)
_GPU = re.compile(r"Insufficient \S*gpu", re.IGNORECASE)
_UNBOUND = ("unbound immediate PersistentVolumeClaims", "persistentvolumeclaim", "storageclass")
_PINNED = (
    "volume node affinity conflict",
    "didn't match PersistentVolume's node affinity",
    "didn't find available persistent volumes to bind",
)
_CORDONED = ("node(s) were unschedulable", "{node.kubernetes.io/unschedulable")
_SILENT = ("{node.kubernetes.io/not-ready", "{node.kubernetes.io/unreachable")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a Pod waits for; `blocked` when it will not go on without somebody's help."""

    reason: str
    message: str
    blocked: bool = False
    pinned: bool = False
    final: bool = False
    """Whether another attempt would be blocked alike."""


def why(pod: PodRecord, *, secret_name: str, home: str = "") -> Waiting:
    """Say what the Pod waits for.

    `secret_name` is the Secret that `secret:KEY` refers to, `home` the node of its volume if known.
    """
    if pod.unschedulable:
        return _unschedulable(pod.unschedulable, home)
    if not pod.node:
        return Waiting("Scheduling", "waits for the scheduler")
    for name, container in (("fetch", pod.fetch), ("uploader", pod.uploader), ("main", pod.main)):
        if container is not None and container.waiting_reason:
            found = _container(name, container, pod, secret_name)
            if found is not None:
                return found
    if pod.fetch is not None and pod.fetch.running:
        return Waiting("Fetching", "the input datasets are being fetched")
    return Waiting("Starting", f"its containers are being started on {pod.node}")


def why_not_mounted(pod: PodRecord, message: str, *, secret_name: str) -> Waiting:
    """Say it from what the kubelet said of volumes, or of the sandbox, in an Event."""
    if _MISSING_SECRET.search(message):
        return Waiting(*_config(message, pod.namespace, secret_name), blocked=True)
    text = f"its containers do not start on {pod.node}: {message}"
    return Waiting("NotMounted", text, blocked=True)


def refused(text: str) -> str:
    """The reason for which the API server refused a Pod, from what it said."""
    if "exceeded quota" in text:
        return "QuotaExceeded"
    return "PodSecurity" if "violates PodSecurity" in text else "PodRefused"


def no_contact(pod: PodRecord) -> Waiting:
    """Say that the node of a Pod has stopped reporting, and what comes of it."""
    text = (
        f"node {pod.node} does not answer. If it stays away the cluster gives its Pods up, by "
        "default after five minutes, and the job is run again elsewhere. "
        f"Look at it: kubectl describe node {pod.node}"
    )
    return Waiting("NodeSilent", text)


def being_deleted(pod: PodRecord) -> Waiting:
    """Say that a job goes on although its Pod was deleted: no later request makes it stop sooner.

    The kubelet begins to stop a Pod once, with the grace period of that moment (docs/kubelet.md).
    """
    text = (
        f"Pod {pod.name} was deleted while the job ran, which has {pod.deletion_grace} s to stop: "
        "after that it is killed, and run again. Give less in the request that deletes it "
        "(kubectl delete pod or drain --grace-period=30)"
    )
    return Waiting("Stopping", text)


def _container(
    name: str, container: ContainerRecord, pod: PodRecord, secret_name: str
) -> Waiting | None:
    reason, message = container.waiting_reason, container.waiting_message.strip()
    if reason in _IMAGE_REASONS:
        whose = "the image" if name == "main" else f"the operator's own image (container {name})"
        text = (
            f"{whose} cannot be pulled on {pod.node}: {message or reason}. Check its name and tag; "
            "a private image needs a docker-registry Secret named under container-registries"
        )
        final = permanent(reason, message)
        return Waiting("ImagePullFailed", text, blocked=True, final=final)
    if reason in _CONFIG_REASONS:
        return Waiting(*_config(message or reason, pod.namespace, secret_name), blocked=True)
    if reason == "CrashLoopBackOff":
        return Waiting("HelperCrashed", f"container {name} keeps ending: {message}", blocked=True)
    return None


def _config(message: str, namespace: str, secret_name: str) -> tuple[str, str]:
    key = _MISSING_KEY.search(message)
    if key:
        command = (
            f"kubectl -n {namespace} patch secret {key['secret']} --type merge "
            f'-p \'{{"stringData":{{"{key["key"]}":"…"}}}}\''
        )
        text = f"Secret {key['secret']} has no key {key['key']!r}. Add it: {command}"
        return "SecretMissing", text
    secret = _MISSING_SECRET.search(message)
    if secret:
        name = secret["secret"]
        command = f"kubectl -n {namespace} create secret generic {name} --from-literal=NAME=VALUE"
        hint = " (it holds the values of secret:NAME)" if name == secret_name else ""
        text = f"Secret {name}{hint} does not exist in namespace {namespace}. Create it: {command}"
        return "SecretMissing", text
    return "ContainerRefused", f"the container cannot be made: {message}"


def _unschedulable(said: str, home: str) -> Waiting:
    # What the scheduler says of preemption repeats the same about the same nodes.
    message = _PREEMPTION.sub("", said).rstrip(". ")
    away = any(text in message for text in _CORDONED + _SILENT)
    if away and home:
        return Waiting("NodeUnavailable", _away_text(message, home), pinned=True)
    if any(text in message for text in _PINNED):
        return Waiting("VolumePinned", _pinned_text(message, home), pinned=True)
    if any(text in message.lower() for text in (text.lower() for text in _UNBOUND)):
        text = (
            f"its volume's claim is not bound: {message}. Check the storage class "
            "(kubectl get storageclass) or name one in policy.volumes.storageClass"
        )
        return Waiting("ClaimUnbound", text)
    if "Insufficient" in message:
        text = (
            f"waits for room on a node: {message}. It starts when another job ends or a node joins"
        )
        return Waiting("GPUBusy" if _GPU.search(message) else "Unschedulable", text)
    text = (
        f"no node fits: {message}. Check the node selector of its machine type "
        "(kubectl get gradientinstancetypes) against kubectl get nodes --show-labels"
    )
    if away:
        text += "; a cordoned node takes Pods again after kubectl uncordon NODE"
    return Waiting("Unschedulable", text)


def _pinned_text(message: str, home: str) -> str:
    return (
        f"its volume is held by {f'node {home}, which' if home else 'a node that'} cannot take "
        f"the job: {message}. "
        "Set policy.volumes.mode to Copy, or name a ReadWriteMany storage class"
    )


def _away_text(message: str, home: str) -> str:
    # The remedy comes first: of a long wait only its beginning is shown.
    if any(text in message for text in _CORDONED):
        remedy = f"If it is cordoned: kubectl uncordon {home}"
    else:
        remedy = f"If it does not answer: kubectl describe node {home}"
    return (
        f"its volume is on node {home}, which takes no Pods now. {remedy}; if it is lost, cancel "
        f"the run and start it anew. The scheduler says: {message}"
    )
