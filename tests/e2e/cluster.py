"""A cluster as the end-to-end tests use it: through the API, kubectl and the command line."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Gone, NotFound, Unreachable
from gradient_operator.kube.resources import INSTANCE_TYPES, NAMESPACES, PODS, RUNS, Resource

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/gradient/demo:dev"
"""The stand-in for users' images: Python, bash, git."""
FINAL = ("Succeeded", "Failed", "Cancelled")
Seen = dict[str, Any]


def script(text: str, **more: Any) -> dict[str, Any]:
    """A job that runs a bash script on a small CPU machine, unless `more` says otherwise."""
    return {
        "resources": {"instance-type": "C4"},
        "uses": "script@v1",
        "with": {"image": IMAGE, "script": text},
        **more,
    }


def on(machine: str, job: dict[str, Any]) -> dict[str, Any]:
    """The same job on a machine of this type."""
    return {**job, "resources": {"instance-type": machine}}


def on_gpu(job: dict[str, Any]) -> dict[str, Any]:
    """The same job on a machine with one GPU."""
    return on("P4000", job)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One namespace of the cluster."""

    client: KubeClient
    namespace: str

    async def start(
        self,
        name: str,
        jobs: dict[str, Any],
        *,
        policy: dict[str, Any] | None = None,
        **definition: Any,
    ) -> str:
        """Create a run by hand."""
        spec: dict[str, Any] = {"definition": {**definition, "jobs": jobs}}
        if policy is not None:
            spec["policy"] = policy
        await self.client.create(
            RUNS,
            {
                "apiVersion": "gradient.run/v1alpha1",
                "kind": "GradientRun",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            },
        )
        return name

    @asynccontextmanager
    async def machine_type(self, name: str, spec: dict[str, Any]) -> AsyncIterator[str]:
        """A machine type of this name, whichever case its letters have, for as long as it lasts."""
        body = {
            "apiVersion": "gradient.run/v1alpha1",
            "kind": "GradientInstanceType",
            "metadata": {"name": name.lower()},
            "spec": {**spec, "name": name},
        }
        await self.client.create(INSTANCE_TYPES, body)
        try:
            yield name
        finally:
            await self.client.delete(INSTANCE_TYPES, name=name.lower())

    async def until(
        self,
        resource: Resource,
        name: str,
        holds: Callable[[Seen], bool],
        *,
        seconds: float = 120,
    ) -> Seen:
        """Watch an object until something holds of it; the error shows it as it was last."""
        last: Seen = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    listed = await self.client.list_all(resource, namespace=self.namespace)
                    for item in listed.items:
                        if item["metadata"]["name"] == name:
                            last = item
                            if holds(item):
                                return item
                    watch = self.client.watch(
                        resource,
                        namespace=self.namespace,
                        resource_version=listed.resource_version,
                        timeout_seconds=60,
                    )
                    try:
                        async with aclosing(watch):
                            async for event in watch:
                                item = event["object"]
                                if item["metadata"].get("name") == name:
                                    last = item
                                    if holds(item):
                                        return item
                    except (Gone, Unreachable):
                        continue  # it is listed anew, until the time is over
        except TimeoutError:
            shown = json.dumps(last.get("status", {}), indent=1)
            raise AssertionError(f"{resource.plural} {name} after {seconds} s: {shown}") from None

    async def ended(self, run: str, *, seconds: float = 120) -> Seen:
        """The status of a run once it has ended."""
        seen = await self.until(
            RUNS, run, lambda item: item.get("status", {}).get("phase") in FINAL, seconds=seconds
        )
        return seen["status"]

    async def succeeded(self, run: str, *, seconds: float = 120) -> Seen:
        """The status of a run that must end well."""
        status = await self.ended(run, seconds=seconds)
        assert status["phase"] == "Succeeded", json.dumps(status, indent=1)
        return status

    async def waiting(self, run: str, job: str, reason: str, *, seconds: float = 60) -> str:
        """The message of a job once it waits for this reason."""

        def holds(item: Seen) -> bool:
            found = item.get("status", {}).get("jobs", {}).get(job, {})
            return bool(found.get("reason") == reason)

        seen = await self.until(RUNS, run, holds, seconds=seconds)
        return str(seen["status"]["jobs"][job]["message"])

    async def pods(self, run: str) -> dict[str, Seen]:
        """The Pods of a run by job (the last attempt of each)."""
        listed = await self.client.list_all(
            PODS, namespace=self.namespace, label_selector=f"gradient.run/run={run}"
        )
        ordered = sorted(
            listed.items, key=lambda pod: int(pod["metadata"]["labels"]["gradient.run/attempt"])
        )
        return {pod["metadata"]["annotations"]["gradient.run/job"]: pod for pod in ordered}

    async def log(self, run: str, job: str, container: str = "main") -> str:
        """The log of a job's container."""
        pod = (await self.pods(run))[job]
        lines = [
            line
            async for line in self.client.pod_logs(
                pod["metadata"]["name"], namespace=self.namespace, container=container
            )
        ]
        return b"\n".join(lines).decode()

    async def exists(self, resource: Resource, name: str) -> bool:
        """Whether there is such an object."""
        try:
            await self.client.get(resource, name=name, namespace=self.namespace)
        except NotFound:
            return False
        return True

    def gradient(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line, in this namespace."""
        program = str(Path(sys.executable).parent / "gradient")
        return command([program, *words, "-n", self.namespace], check=check)

    def kubectl(
        self, *words: str, text: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """kubectl, in this namespace."""
        return command(["kubectl", "-n", self.namespace, *words], text=text, check=check)


async def new_namespace(client: KubeClient, stem: str) -> Cluster:
    """A namespace that nobody else has."""
    name = f"e2e-{stem}-{uuid.uuid4().hex[:6]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.create(NAMESPACES, body)
    return Cluster(client, name)


def command(
    words: list[str], *, text: str | None = None, check: bool = True, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a program; what it printed stands in the error if it fails."""
    path = f"{ROOT / '.local' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done
