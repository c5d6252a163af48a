"""Plays the kubelet of Pods on the manual nodes: writes their statuses as a kubelet would."""

import json
from datetime import UTC, datetime
from typing import Any

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import PODS
from tests.builders import WorkflowBuilder, make_workflow
from tests.integration.operator.team import Team
from tests.waiting import eventually

Pod = dict[str, Any]
MACHINE = "manual"
"""The machine type of jobs whose Pods wait for this kubelet."""


def machine_type() -> dict[str, Any]:
    return {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientInstanceType",
        "metadata": {"name": MACHINE},
        "spec": {
            "name": MACHINE,
            "nodeSelector": {"gradient.run/simulate": "manual", "gradient.run/pool": "cpu"},
            "tolerations": [{"key": "gradient.run/simulate", "operator": "Exists"}],
        },
    }


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    """Acts on the Pods of one namespace, one step at a time."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self._others: set[str] = set()

    async def begin(self) -> None:
        """Leave alone what earlier tests have left."""
        self._others |= {pod["metadata"]["uid"] for pod in await self.pods()}

    async def pod(self, job: str, attempt: int = 1, *, bound: bool = True) -> Pod:
        """Wait for the Pod of an attempt, and until the scheduler has placed it."""

        async def ask() -> Pod:
            found = await self.pods(job)
            pods = [pod for pod in found if pod["metadata"]["labels"][LABEL] == str(attempt)]
            assert pods, f"job {job} has no Pod for attempt {attempt}"
            placed = "nodeName" in pods[0]["spec"]
            assert placed or not bound, f"the Pod of {job} has no node: {pods[0]['status']}"
            return pods[0]

        return await eventually(ask)

    async def pods(self, job: str | None = None) -> list[Pod]:
        """All Pods of jobs, or those of one."""
        listed = await self.client.list_all(
            PODS, namespace=self.namespace, label_selector="gradient.run/run-uid"
        )
        return [
            pod
            for pod in listed.items
            if pod["metadata"]["uid"] not in self._others
            and job in (None, pod["metadata"]["annotations"]["gradient.run/job"])
        ]

    async def start(self, pod: Pod) -> None:
        """Its containers run."""
        running = {"state": {"running": {"startedAt": now()}}, "ready": True, "started": True}
        await self._write(
            pod,
            phase="Running",
            startTime=now(),
            containerStatuses=[container("main", running)],
            initContainerStatuses=[
                container(name, running if name == "uploader" else ended(0))
                for name in helpers(pod)
            ],
        )

    async def end(self, pod: Pod, code: int = 0, *, message: str = "", reason: str = "") -> None:
        """Main ends; without an uploader so does the Pod."""
        main = [container("main", ended(code, message=message, reason=reason))]
        if "uploader" in helpers(pod):
            await self._write(pod, containerStatuses=main)
        else:
            phase = "Succeeded" if code == 0 else "Failed"
            await self._write(pod, phase=phase, containerStatuses=main)

    async def end_main(self, pod: Pod, code: int) -> None:
        """Main ends; the Pod has yet to."""
        await self._write(pod, containerStatuses=[container("main", ended(code))])

    async def upload(self, pod: Pod, message: dict[str, Any] | str, code: int = 0) -> None:
        """The uploader ends, and the Pod with it; its phase follows main alone."""
        text = message if isinstance(message, str) else json.dumps(message)
        statuses = [
            container(name, ended(code, message=text) if name == "uploader" else ended(0))
            for name in helpers(pod)
        ]
        await self._write(pod, phase="Succeeded", initContainerStatuses=statuses)

    async def run(self, pod: Pod, code: int = 0, *, message: str = "") -> None:
        """Start and end it."""
        await self.start(pod)
        await self.end(pod, code, message=message)

    async def wait(self, pod: Pod, reason: str, message: str) -> None:
        """A container cannot start."""
        waiting = {"state": {"waiting": {"reason": reason, "message": message}}}
        await self._write(pod, containerStatuses=[container("main", waiting)])

    async def evict(self, pod: Pod) -> None:
        """The node needs its disk for itself."""
        await self._write(
            pod,
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: ephemeral-storage.",
            containerStatuses=[container("main", ended(137))],
        )

    async def obey(self, pod: Pod) -> Pod:
        """Wait for its deletion; end its containers, and let the object go."""

        async def ask() -> Pod:
            name = pod["metadata"]["name"]
            found = await self.client.get(PODS, name=name, namespace=self.namespace)
            assert "deletionTimestamp" in found["metadata"], f"Pod {name} is not being deleted"
            return found

        found = await eventually(ask)
        if found["status"].get("phase") not in {"Succeeded", "Failed"}:
            await self._write(
                pod, phase="Failed", containerStatuses=[container("main", ended(143))]
            )
        await self.remove(pod)
        return found

    async def remove(self, pod: Pod) -> None:
        """The kubelet is done with it: only finalizers keep the object now."""
        try:
            await self.client.delete(
                PODS,
                name=pod["metadata"]["name"],
                namespace=self.namespace,
                uid=pod["metadata"]["uid"],
                grace_seconds=0,
            )
        except NotFound:
            return

    async def later(self) -> None:
        """Wait until another second has begun: times of Pods are whole seconds."""
        before = now()

        async def ask() -> None:
            assert now() != before

        await eventually(ask)

    async def released(self, pod: Pod) -> None:
        """Wait until the operator does not keep the object any more, which is still there."""
        name = pod["metadata"]["name"]

        async def ask() -> None:
            found = await self.client.get(PODS, name=name, namespace=self.namespace)
            held = found["metadata"].get("finalizers", [])
            assert "gradient.run/result" not in held, f"Pod {name} is still held"

        await eventually(ask)

    async def gone(self, pod: Pod) -> None:
        """Wait until nothing keeps the object any more."""

        async def ask() -> None:
            found = [each["metadata"]["uid"] for each in await self.pods()]
            assert pod["metadata"]["uid"] not in found, "the Pod is still there"

        await eventually(ask)

    async def _write(self, pod: Pod, **status: Any) -> None:
        await self.client.merge_patch(
            PODS,
            {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status},
            name=pod["metadata"]["name"],
            namespace=self.namespace,
            subresource="status",
        )


async def running(
    team: Team, kubelet: Kubelet, builder: WorkflowBuilder | None = None
) -> tuple[str, Pod]:
    """Start a run and its job `a`, its only one if not said otherwise, until it is `Running`."""
    run = await team.start(builder or make_workflow().job("a").on(MACHINE))
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    return run, pod


LABEL = "gradient.run/attempt"


def helpers(pod: Pod) -> list[str]:
    """The names of its init containers, in order."""
    return [item["name"] for item in pod["spec"].get("initContainers", ())]


def container(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """A container's status."""
    image = f"registry.test/{name}@sha256:{'5e' * 32}"
    base = {"name": name, "image": "x", "imageID": image, "ready": False, "restartCount": 0}
    return base | state


def ended(code: int, *, message: str = "", reason: str = "") -> dict[str, Any]:
    """The state of a container that has ended."""
    said = reason or ("Completed" if code == 0 else "Error")
    state = {"exitCode": code, "reason": said, "message": message}
    return {"state": {"terminated": state | {"startedAt": now(), "finishedAt": now()}}}
