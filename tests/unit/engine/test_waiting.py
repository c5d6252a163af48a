"""The words of kube-scheduler and kubelet (Kubernetes 1.29 to 1.34), and what a person is told."""

import pytest

from gradient_operator.controllers.ledger import WAIT_MESSAGE_LIMIT, cut
from gradient_operator.engine.waiting import refused, why
from tests.builders import make_pod, running, waiting

PREEMPTION = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
SELECTOR = "node(s) didn't match Pod's node affinity/selector"
NO_CLAIMS = f"no new claims to deallocate, {PREEMPTION}"  # as 1.34 begins it


def said(pod, **more):
    return why(pod, secret_name="gradient-secrets", **more)


SCHEDULER = {
    "no node of the pool": (
        f"0/3 nodes are available: 3 {SELECTOR}. {PREEMPTION}",
        "Unschedulable",
        "no node fits: ",
        "Check the node selector of its machine type (kubectl get gradientinstancetypes)",
    ),
    "a taint that is not tolerated": (
        "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }. " + PREEMPTION,
        "Unschedulable",
        "no node fits: ",
        "kubectl get nodes --show-labels",
    ),
    "no GPU is free": (
        (
            f"0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
            f"2 Insufficient nvidia.com/gpu. {NO_CLAIMS}"
        ),
        "GPUBusy",
        "waits for room on a node: ",
        "It starts when another job ends or a node joins",
    ),
    "no memory is free": (
        (
            "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: "
            "3 No preemption victims found for incoming pod."
        ),
        "Unschedulable",
        "waits for room on a node: ",
        "It starts when another job ends or a node joins",
    ),
    "the claim is not bound": (
        f"0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. {PREEMPTION}",
        "ClaimUnbound",
        "its volume's claim is not bound: ",
        "Check the storage class (kubectl get storageclass)",
    ),
    "the claim does not exist": (
        f'0/3 nodes are available: persistentvolumeclaim "run-a.v" not found. {PREEMPTION}',
        "ClaimUnbound",
        "its volume's claim is not bound: ",
        "name one in policy.volumes.storageClass",
    ),
    "the storage class does not exist": (
        '0/3 nodes are available: storageclass.storage.k8s.io "fast" not found.',
        "ClaimUnbound",
        "its volume's claim is not bound: ",
        "Check the storage class (kubectl get storageclass)",
    ),
    "the volume is on a node of another pool": (
        (
            "0/3 nodes are available: 1 node(s) had volume node affinity conflict, "
            f"2 node(s) didn't match Pod's node affinity/selector. {PREEMPTION}"
        ),
        "VolumePinned",
        "its volume is held by a node that cannot take the job: ",
        "Set policy.volumes.mode to Copy, or name a ReadWriteMany storage class",
    ),
    "the same in the words of 1.34": (
        (
            "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
            f"2 node(s) didn't match Pod's node affinity/selector. {NO_CLAIMS}"
        ),
        "VolumePinned",
        "its volume is held by a node that cannot take the job: ",
        "Set policy.volumes.mode to Copy",
    ),
    "something new": (
        "0/3 nodes are available: 3 node(s) were in a bad mood.",
        "Unschedulable",
        "no node fits: ",
        "kubectl get gradientinstancetypes",
    ),
}


@pytest.mark.parametrize(("text", "reason", "begin", "remedy"), SCHEDULER.values(), ids=SCHEDULER)
def test_a_pod_without_a_node_says_why(text, reason, begin, remedy):
    found = said(make_pod(node="", unschedulable=text))
    assert found.reason == reason
    nodes, _, _ = text.partition(". ")
    assert found.message.startswith(f"{begin}{nodes.rstrip('.')}. ")
    assert "preemption" not in found.message.lower(), "it repeats the same about the same nodes"
    assert remedy in found.message
    assert not found.blocked


def test_only_a_volume_on_another_node_pins():
    pinned = [
        text
        for text, *_ in SCHEDULER.values()
        if said(make_pod(node="", unschedulable=text)).pinned
    ]
    assert len(pinned) == 2


CORDONED = f"0/2 nodes are available: 1 {SELECTOR}, 1 node(s) were unschedulable. {PREEMPTION}"
GONE = (
    f"0/2 nodes are available: 1 {SELECTOR}, 1 node(s) had untolerated taint "
    f"{{node.kubernetes.io/unreachable: }}. {NO_CLAIMS}"
)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (CORDONED, "If it is cordoned: kubectl uncordon gpu-1;"),
        (GONE, "If it does not answer: kubectl describe node gpu-1;"),
    ],
    ids=["cordoned", "not answering"],
)
def test_the_node_of_its_volume_is_named_when_it_takes_no_pods(text, remedy):
    found = said(make_pod(node="", unschedulable=text), home="gpu-1")
    assert (found.reason, found.pinned, found.blocked) == ("NodeUnavailable", True, False)
    assert found.message.startswith("its volume is on node gpu-1, which takes no Pods now. ")
    shown = cut(found.message, WAIT_MESSAGE_LIMIT)
    assert remedy in shown
    assert "cancel the run and start it anew" in shown


def test_a_pod_without_a_volume_waits_for_a_cordoned_node_as_long_as_it_takes():
    found = said(make_pod(node="", unschedulable=CORDONED))
    assert (found.reason, found.pinned) == ("Unschedulable", False)
    assert found.message.endswith("a cordoned node takes Pods again after kubectl uncordon NODE")


def test_the_node_that_holds_a_volume_is_named():
    text = "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."
    found = said(make_pod(node="", unschedulable=text), home="gpu-1")
    assert found.message.startswith("its volume is held by node gpu-1, which cannot take the job: ")


PULL = 'failed to pull and unpack image "docker.io/library/nope:1": not found'
IMAGES = {
    "first failure": ("ErrImagePull", f"rpc error: code = NotFound desc = {PULL}"),
    "back-off up to 1.31": ("ImagePullBackOff", 'Back-off pulling image "nope:1"'),
    "back-off from 1.32": (
        "ImagePullBackOff",
        f'Back-off pulling image "nope:1": ErrImagePull: {PULL}',
    ),
    "not a name": (
        "InvalidImageName",
        (
            'Failed to apply default image tag "UP": couldn\'t parse image name "UP": invalid '
            "reference format: repository name (library/UP) must be lowercase"
        ),
    ),
    "never pulled": (
        "ErrImageNeverPull",
        'Container image "nope:1" is not present with pull policy of Never',
    ),
    "no registry": ("RegistryUnavailable", "image pull failed for nope:1"),
    "signature": ("SignatureValidationFailed", "image pull failed for nope:1"),
    "broken on the node": ("ImageInspectError", 'Failed to inspect image "nope:1"'),
}


@pytest.mark.parametrize(("reason", "message"), IMAGES.values(), ids=IMAGES)
def test_an_image_that_cannot_be_pulled_is_named_with_both_remedies(reason, message):
    found = said(make_pod(main=waiting(reason, message)))
    assert (found.reason, found.blocked) == ("ImagePullFailed", True)
    assert found.message == (
        f"the image cannot be pulled on cpu-1: {message}. Check its name and tag; a private image "
        "needs a docker-registry Secret named under container-registries"
    )


@pytest.mark.parametrize("name", ["fetch", "uploader"])
def test_the_operators_own_image_is_not_blamed_on_the_user(name):
    found = said(make_pod(**{name: waiting("ImagePullBackOff", "Back-off")}))
    assert found.message.startswith(f"the operator's own image (container {name}) cannot be pulled")


def test_a_missing_secret_of_values_is_explained():
    pod = make_pod(
        main=waiting("CreateContainerConfigError", 'secret "gradient-secrets" not found')
    )
    found = said(pod)
    assert (found.reason, found.blocked) == ("SecretMissing", True)
    assert found.message == (
        "Secret gradient-secrets (it holds the values of secret:NAME) does not exist in namespace "
        "ns. Create it: kubectl -n ns create secret generic gradient-secrets "
        "--from-literal=NAME=VALUE"
    )


def test_another_missing_secret_is_only_named():
    pod = make_pod(main=waiting("CreateContainerConfigError", 'secret "other" not found'))
    assert said(pod).message.startswith("Secret other does not exist in namespace ns. ")


def test_a_missing_key_is_named_with_the_command_that_adds_it():
    text = "couldn't find key TOKEN in Secret ns/gradient-secrets"
    found = said(make_pod(main=waiting("CreateContainerConfigError", text)))
    assert (found.reason, found.blocked) == ("SecretMissing", True)
    assert found.message == (
        "Secret gradient-secrets has no key 'TOKEN'. Add it: kubectl -n ns patch secret "
        'gradient-secrets --type merge -p \'{"stringData":{"TOKEN":"…"}}\''
    )


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        ("CreateContainerError", "failed to generate container spec: no command specified"),
        ("RunContainerError", "failed to start container: no space left on device"),
    ],
)
def test_a_container_that_cannot_be_made_says_so(reason, message):
    found = said(make_pod(main=waiting(reason, message)))
    assert (found.reason, found.blocked) == ("ContainerRefused", True)
    assert found.message == f"the container cannot be made: {message}"


def test_a_helper_that_keeps_crashing_blocks():
    text = "back-off 10s restarting failed container=uploader"
    found = said(make_pod(uploader=waiting("CrashLoopBackOff", text)))
    assert (found.reason, found.blocked) == ("HelperCrashed", True)
    assert found.message == f"container uploader keeps ending: {text}"


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (make_pod(node=""), "Scheduling", "waits for the scheduler"),
        (make_pod(), "Starting", "its containers are being started on cpu-1"),
        (make_pod(main=None), "Starting", "its containers are being started on cpu-1"),
        (make_pod(fetch=running()), "Fetching", "the input datasets are being fetched"),
    ],
    ids=["no node yet", "initializing", "nothing known", "fetching"],
)
def test_an_ordinary_wait_is_named(pod, reason, message):
    found = said(pod)
    assert (found.reason, found.message, found.blocked) == (reason, message, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("its Pod cannot be made: pods is forbidden: exceeded quota: q, used: 1", "QuotaExceeded"),
        ('its Pod cannot be made: violates PodSecurity "restricted:latest": …', "PodSecurity"),
        ("its Pod cannot be made: something else", "PodRefused"),
    ],
)
def test_a_refused_pod_is_told_from_a_full_quota(text, reason):
    assert refused(text) == reason
