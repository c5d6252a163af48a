"""What the people who use a namespace do, and what they see."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.resources import RUNS, WORKFLOWS, Resource
from tests.builders import WorkflowBuilder
from tests.waiting import eventually

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
FINAL = {"Succeeded", "Failed", "Cancelled"}


class Team:
    """One namespace, through the API server alone."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def name(self, prefix: str = "w") -> str:
        """A name that no other test has."""
        return f"{prefix}-{uuid.uuid4().hex[:6]}"

    async def apply(self, name: str, builder: WorkflowBuilder, **policy: Any) -> None:
        """As `kubectl apply --server-side` does."""
        spec = builder.data() | ({"policy": policy} if policy else {})
        await self.client.apply(
            WORKFLOWS,
            {"spec": spec},
            name=name,
            namespace=self.namespace,
            field_manager="team",
        )

    async def start(self, builder: WorkflowBuilder, *, name: str | None = None, **spec: Any) -> str:
        """Make a run by hand."""
        name = name or self.name("r")
        body = {
            "apiVersion": RUNS.api_version,
            "kind": RUNS.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"definition": builder.data(), **spec},
        }
        await self.client.create(RUNS, body)
        return name

    async def run(self, name: str) -> dict[str, Any]:
        return await self.client.get(RUNS, name=name, namespace=self.namespace)

    async def runs(self, workflow: str) -> list[dict[str, Any]]:
        """The runs of a workflow, oldest first."""
        listed = await self.client.list_all(RUNS, namespace=self.namespace)
        return sorted(
            (run for run in listed.items if run["spec"].get("workflow") == workflow),
            key=lambda run: run["metadata"]["creationTimestamp"],
        )

    async def started(self, workflow: str, count: int = 1) -> list[str]:
        """Wait until the workflow has that many runs, all of them at their end."""

        async def ask() -> list[str]:
            runs = await self.runs(workflow)
            phases = [run.get("status", {}).get("phase") for run in runs]
            assert len(runs) == count, f"{workflow} has {len(runs)} runs instead of {count}"
            assert set(phases) <= FINAL, f"the runs of {workflow} are {phases}"
            return [run["metadata"]["name"] for run in runs]

        return await eventually(ask)

    async def observed(self, workflow: str) -> dict[str, Any]:
        """Wait until the status of the workflow is about its present spec; return it."""

        async def ask() -> dict[str, Any]:
            found = await self.client.get(WORKFLOWS, name=workflow, namespace=self.namespace)
            status: dict[str, Any] = found.get("status", {})
            generation = found["metadata"]["generation"]
            assert status.get("observedGeneration") == generation, "the spec was not seen yet"
            return status

        return await eventually(ask)

    async def ended(self, run: str, phase: str) -> dict[str, Any]:
        """Wait for the end of a run and return its status."""

        async def ask() -> dict[str, Any]:
            status: dict[str, Any] = (await self.run(run)).get("status", {})
            found = status.get("phase")
            assert found in FINAL, f"run {run} is {found}: {status.get('message')}"
            return status

        status = await eventually(ask)
        assert status["phase"] == phase, status
        return status

    async def job(self, run: str, job: str, **wanted: Any) -> dict[str, Any]:
        """Wait until a job's status has these fields, and return it."""

        async def ask() -> dict[str, Any]:
            status = (await self.run(run)).get("status", {}).get("jobs", {}).get(job, {})
            found = {key: status.get(key) for key in wanted}
            assert found == wanted, f"job {job} is {status}"
            return status

        return await eventually(ask)

    @contextlib.asynccontextmanager
    async def quota(self, **hard: str) -> AsyncIterator[None]:
        """A ResourceQuota, from when it holds."""
        name = self.name("quota")
        body = {"metadata": {"name": name}, "spec": {"hard": hard}}
        await self.client.create(QUOTAS, body, namespace=self.namespace)

        async def holds() -> None:
            quota = await self.client.get(QUOTAS, name=name, namespace=self.namespace)
            assert quota.get("status", {}).get("hard") == hard

        await eventually(holds)
        yield
        await self.client.delete(QUOTAS, name=name, namespace=self.namespace)

    async def cancel(self, run: str) -> None:
        await self.client.merge_patch(
            RUNS, {"spec": {"cancel": True}}, name=run, namespace=self.namespace
        )

    async def delete(self, run: str, **how: Any) -> None:
        await self.client.delete(RUNS, name=run, namespace=self.namespace, **how)


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of a status."""
    found: dict[str, Any] = {item["type"]: item for item in status["conditions"]}[kind]
    return found
