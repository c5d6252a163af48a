"""What the design of the uploader takes for granted of kubelets; `docs/kubelet.md` has the results.

Bare Pods without the operator: a sidecar whose `postStart` gates main, as the uploader's does. They
are started together, and each test looks at one.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from gradient_operator.kube.resources import PODS
from tests.e2e.cluster import IMAGE, Cluster, Seen
from tests.e2e.side_by_side import namespace

pytestmark = pytest.mark.asyncio(loop_scope="module")
TERMINAL: Final = ("Succeeded", "Failed")
MESSAGE: Final = 4_096


def after(seconds: float, then: str) -> str:
    """A sidecar that works so long once it was told that main has ended."""
    return (
        f"trap 'sleep {seconds} & wait $!; echo told >/dev/termination-log; {then}' TERM; "
        "touch /ready; while true; do sleep 1 & wait $!; done"
    )


LONG = f"head -c {MESSAGE} /dev/zero | tr '\\0' x >/dev/termination-log"


def pod(main: str, sidecar: str, *, grace: int = 60, more: int = 0) -> Seen:
    """A Pod; `more` containers beside main write as much as a message may have."""
    ready = ["bash", "-c", "until test -e /ready; do sleep 0.05; done"]

    def container(name: str, text: str, **fields: Any) -> Seen:
        return {"name": name, "image": IMAGE, "command": ["bash", "-c", text], **fields}

    gate = {"lifecycle": {"postStart": {"exec": {"command": ready}}}, "restartPolicy": "Always"}
    return {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": grace,
        "initContainers": [container("sidecar", sidecar, **gate)],
        "containers": [
            container("main", main),
            *(container(f"more-{number}", LONG) for number in range(more)),
        ],
    }


UNTIL_LET_GO = "until test -e /go; do sleep 0.2; done; exit 0"
DEAF = "trap '' TERM; sleep 90"
PODS_OF: dict[str, Seen] = {
    "both-end-well": pod("exit 0", after(1, "exit 0")),
    "sidecar-fails": pod("exit 0", after(0, "exit 1")),
    "main-fails": pod("exit 3", after(0, "exit 0")),
    "main-is-short": pod("true", after(0, "exit 0")),
    "sidecar-is-too-slow": pod("exit 0", after(30, "exit 0"), grace=3),
    "message-is-cut": pod(LONG, after(0, "exit 0"), more=3),
    "deleted-while-main-runs": pod(DEAF, after(40, "exit 0")),
    "deleted-twice": pod(f"trap '' TERM; {UNTIL_LET_GO}", after(0, "exit 0"), grace=600),
    "deleted-beside-main": pod(DEAF, after(0, "exit 0")),
    "deleted-during-upload": pod("exit 0", after(0, UNTIL_LET_GO), grace=600),
    "deleted-beside-upload": pod(DEAF, after(0, "exit 0")),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(installed: None) -> AsyncIterator[Cluster]:
    async with namespace("kubelet") as cluster:
        for name, spec in PODS_OF.items():
            metadata = {"name": name, "namespace": cluster.namespace}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
            await cluster.client.create(PODS, body)
        yield cluster


def state(seen: Seen, name: str) -> Seen:
    status = seen["status"]
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    found: Seen = next((item["state"] for item in listed if item["name"] == name), {})
    return found


async def ended(cluster: Cluster, name: str) -> tuple[str, Seen, Seen]:
    """The phase of a Pod that has ended, and how main and the sidecar ended."""
    seen = await cluster.until(PODS, name, lambda item: item["status"].get("phase") in TERMINAL)
    return (
        seen["status"]["phase"],
        state(seen, "main")["terminated"],
        state(seen, "sidecar")["terminated"],
    )


async def test_the_sidecar_is_told_works_on_and_its_message_is_kept(cluster: Cluster) -> None:
    phase, main, sidecar = await ended(cluster, "both-end-well")
    assert (phase, main["exitCode"], sidecar["exitCode"]) == ("Succeeded", 0, 0)
    assert sidecar["message"] == "told\n"
    assert sidecar["finishedAt"] >= main["finishedAt"]


async def test_the_exit_code_of_the_sidecar_does_not_count_for_the_phase(cluster: Cluster) -> None:
    phase, main, sidecar = await ended(cluster, "sidecar-fails")
    assert (phase, main["exitCode"], sidecar["exitCode"]) == ("Succeeded", 0, 1)


async def test_that_of_main_does(cluster: Cluster) -> None:
    phase, main, sidecar = await ended(cluster, "main-fails")
    assert (phase, main["exitCode"], sidecar["exitCode"]) == ("Failed", 3, 0)


async def test_a_main_that_ends_at_once_does_not_outrun_the_signal(cluster: Cluster) -> None:
    phase, _, sidecar = await ended(cluster, "main-is-short")
    assert (phase, sidecar["message"]) == ("Succeeded", "told\n")


async def test_the_grace_period_begins_when_main_has_ended(cluster: Cluster) -> None:
    phase, _, sidecar = await ended(cluster, "sidecar-is-too-slow")
    assert (phase, sidecar["exitCode"]) == ("Succeeded", 137)


async def test_messages_share_12_kib_evenly(cluster: Cluster) -> None:
    """Five containers that write 4 KiB each: of each there is a fifth of 12 KiB."""
    await ended(cluster, "message-is-cut")
    seen = await cluster.client.get(PODS, name="message-is-cut", namespace=cluster.namespace)
    lengths = [
        len(item["state"]["terminated"]["message"]) for item in seen["status"]["containerStatuses"]
    ]
    assert lengths == [12 * 1024 // 5] * 4


async def gone(cluster: Cluster, name: str) -> float:
    """When a Pod is gone (seconds since the epoch)."""
    words = ("wait", "pod", name, "--for=delete", "--timeout=90s")
    await asyncio.to_thread(cluster.kubectl, *words)
    return time.time()


async def running(cluster: Cluster, name: str, container: str) -> Seen:
    return await cluster.until(PODS, name, lambda item: "running" in state(item, container))


async def delete(cluster: Cluster, name: str, grace: int) -> None:
    await cluster.client.delete(PODS, name=name, namespace=cluster.namespace, grace_seconds=grace)


async def test_a_deletion_with_a_grace_of_its_own_ends_a_deaf_main(cluster: Cluster) -> None:
    """And the sidecar has what main left of it, at least two seconds."""
    seen = await running(cluster, "deleted-while-main-runs", "main")
    await delete(cluster, seen["metadata"]["name"], 4)
    at = time.time()
    assert await gone(cluster, "deleted-while-main-runs") - at < 30, "not the 90 s of main"


async def ends_by_itself(cluster: Cluster, name: str, container: str, *, beside: str) -> Seen:
    """A Pod once a container has ended that is let go well after its Pod was due.

    That is when another Pod is gone that was deleted later, with two seconds, and was killed.
    """
    await running(cluster, beside, "main")
    await delete(cluster, beside, 2)
    await gone(cluster, beside)
    words = ("exec", name, "-c", container, "--", "touch", "/go")
    await asyncio.to_thread(cluster.kubectl, *words)
    return await cluster.until(PODS, name, lambda item: "terminated" in state(item, container))


async def test_a_second_deletion_with_less_grace_changes_nothing(cluster: Cluster) -> None:
    """The object says that it is due; the kubelet waits as the first request said."""
    await running(cluster, "deleted-twice", "main")
    await delete(cluster, "deleted-twice", 600)
    await delete(cluster, "deleted-twice", 2)
    seen = await ends_by_itself(cluster, "deleted-twice", "main", beside="deleted-beside-main")
    assert state(seen, "main")["terminated"]["exitCode"] == 0, "it was not killed"
    assert seen["metadata"]["deletionGracePeriodSeconds"] == 2


async def test_a_deletion_does_not_shorten_what_the_sidecar_does_after_main(
    cluster: Cluster,
) -> None:
    await cluster.until(
        PODS, "deleted-during-upload", lambda item: "terminated" in state(item, "main")
    )
    await delete(cluster, "deleted-during-upload", 2)
    seen = await ends_by_itself(
        cluster, "deleted-during-upload", "sidecar", beside="deleted-beside-upload"
    )
    assert state(seen, "sidecar")["terminated"]["exitCode"] == 0, "it was not killed"
