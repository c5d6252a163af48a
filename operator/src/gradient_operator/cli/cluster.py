"""The way to the cluster: a client for the namespace that the options and the kubeconfig name."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gradient_operator.cli.errors import CommandError
from gradient_operator.kube.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from gradient_operator.cli.options import Target
    from gradient_operator.kube.client import KubeClient
    from gradient_operator.kube.resources import Resource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A client and the namespace that commands work in."""

    client: KubeClient
    namespace: str

    async def find(self, resource: Resource, name: str, *, hint: str) -> dict[str, Any]:
        """The object of that name in the namespace.

        Raises:
            CommandError: there is none; the message ends with `hint`.
        """
        try:
            return await self.client.get(resource, name=name, namespace=self.namespace)
        except NotFound as error:
            if "could not find the requested" in error.message:
                raise
            kind = resource.kind.removeprefix("Gradient").lower()
            raise CommandError(
                f"There is no {kind} {name!r} in namespace {self.namespace}. {hint}"
            ) from None


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Cluster]:
    """Open the way to the cluster.

    Raises:
        CredentialsError: no cluster is configured.
    """
    from gradient_operator.kube.client import KubeClient

    kubeconfig = Path(target.kubeconfig) if target.kubeconfig else None
    client = await KubeClient.connect(
        kubeconfig, context=target.context, user_agent=f"gradient/{_version()}"
    )
    async with client:
        yield Cluster(client=client, namespace=target.namespace or client.default_namespace)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end; Ctrl-C cancels it and raises KeyboardInterrupt."""
    return asyncio.run(work)


def _version() -> str:
    try:
        return version("gradient-operator")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
