"""The API server's verbs on plain dicts.

A thin client on aiohttp: a typed one costs three to six times as much per call, and the hot path
creates a thousand Pods in a second. Everything that comes back is the server's JSON, unchanged.
"""

from __future__ import annotations

import copy
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from gradient_operator.kube.codec import decode, encode, query_of
from gradient_operator.kube.credentials import load_credentials
from gradient_operator.kube.errors import Gone, error_of_status
from gradient_operator.kube.lines import lines_of
from gradient_operator.kube.resources import PODS
from gradient_operator.kube.transport import Call, RequestObserver, RetryPolicy, Timeouts, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from gradient_operator.kube.credentials import Credentials
    from gradient_operator.kube.resources import Resource

__all__ = ["KubeClient", "ListResult", "RequestObserver", "RetryPolicy", "Timeouts"]


@dataclass(frozen=True, slots=True)
class ListResult:
    """Objects of a list, or of one page of it, and the version that the whole list shows.

    Items of built-in kinds come without `apiVersion` and `kind`, as the server sends them.
    """

    items: list[dict[str, Any]]
    resource_version: str


class KubeClient:
    """Speaks with one API server; close it, or use it as an async context manager.

    Every method raises `KubeError`s. Requests that may be sent twice (all but creates and JSON
    patches) are repeated with jitter on 429, 5xx and broken connections. Who leaves `watch` or
    `pod_logs` early closes it (`contextlib.aclosing`): a stream holds a connection.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str,
        observer: RequestObserver | None = None,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.server = credentials.server
        self.default_namespace = credentials.namespace
        self._fence: Callable[[], None] | None = None
        self._transport = Transport(
            credentials,
            user_agent=user_agent,
            observer=observer,
            retries=retries,
            timeouts=timeouts,
        )

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        *,
        context: str | None = None,
        user_agent: str,
        observer: RequestObserver | None = None,
    ) -> Self:
        """Find server and credentials (see `load_credentials`); sends nothing yet.

        Raises:
            CredentialsError: nothing was found, or what was found cannot be used.
        """
        credentials = load_credentials(kubeconfig, context=context)
        return cls(credentials, user_agent=user_agent, observer=observer)

    def fenced(self, fence: Callable[[], None]) -> Self:
        """The same client on the same connections, for somebody who may lose the right to write.

        `fence` is called before each sending of a write, and raises what its caller shall get.
        """
        made = copy.copy(self)
        made._fence = fence  # noqa: SLF001 - it is one of us
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def get(
        self, resource: Resource, *, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        """Return one object, as it is now."""
        return await self._json(_call("get", resource, resource.path(namespace, name)))

    async def list_pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
    ) -> AsyncGenerator[ListResult]:
        """Give a list page by page, so that only `limit` objects are in memory at once.

        Raises:
            Gone: the walk took longer than the server keeps old versions (5 minutes).
        """
        query = query_of(
            labelSelector=label_selector, fieldSelector=field_selector, limit=limit or None
        )
        while True:
            page = await self._json(_call("list", resource, resource.path(namespace), query))
            metadata = page.get("metadata") or {}
            yield ListResult(page.get("items") or [], metadata.get("resourceVersion", ""))
            if not metadata.get("continue"):
                return
            query = {**query, "continue": metadata["continue"]}

    async def list_all(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
    ) -> ListResult:
        """Return all objects; should the pages expire on the way, in one piece."""
        items: list[dict[str, Any]] = []
        version = ""
        chosen = {
            "namespace": namespace,
            "label_selector": label_selector,
            "field_selector": field_selector,
        }
        try:
            async for page in self.list_pages(resource, **chosen, limit=limit):
                items += page.items
                version = page.resource_version
        except Gone:
            if not limit:
                raise
            return await self.list_all(resource, **chosen, limit=0)
        return ListResult(items, version)

    async def create(
        self,
        resource: Resource,
        body: dict[str, Any],
        *,
        namespace: str | None = None,
        brief: bool = False,
    ) -> dict[str, Any]:
        """Create an object and return it as stored. Sent again only if it surely was not sent.

        With `brief` only its metadata comes back, which costs a tenth.

        Raises:
            AlreadyExists: an object of that name is there, perhaps from an earlier attempt.
        """
        path = resource.path(namespace or _namespace_of(resource, body))
        call = Call(
            verb="create",
            method="POST",
            path=path,
            resource=resource.plural,
            body=encode(body),
            brief=brief,
            replay=False,
            fence=self._fence,
        )
        return await self._json(call)

    async def merge_patch(
        self,
        resource: Resource,
        body: dict[str, Any],
        *,
        name: str,
        namespace: str | None = None,
        subresource: str | None = None,
        brief: bool = False,
    ) -> dict[str, Any]:
        """Merge `body` into an object (RFC 7396) and return the result, with `brief` its metadata.

        With `metadata.resourceVersion` in `body` it is refused (`Conflict`) if the object has
        changed; the repetition of an attempt whose answer was lost is then refused as well.
        """
        return await self._patch(
            resource.path(namespace, name, subresource),
            resource,
            body=body,
            kind="application/merge-patch+json",
            brief=brief,
        )

    async def apply(
        self,
        resource: Resource,
        body: dict[str, Any],
        *,
        name: str,
        namespace: str | None = None,
        field_manager: str,
        force: bool = True,
    ) -> dict[str, Any]:
        """Server-side apply: create, or own exactly the fields in `body`; return the result.

        Raises:
            Conflict: another manager owns one of the fields, and `force` is off.
        """
        complete = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            **body,
            "metadata": {**body.get("metadata", {}), "name": name},
        }
        return await self._patch(
            resource.path(namespace, name),
            resource,
            body=complete,
            kind="application/apply-patch+yaml",
            query=query_of(fieldManager=field_manager, force=str(force).lower()),
        )

    async def delete(
        self,
        resource: Resource,
        *,
        name: str,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Ask for an object's deletion; `uid` and `resource_version` must fit it, if given.

        `propagation` is `Background`, `Foreground` or `Orphan`.

        Raises:
            NotFound: it is not there (any more: perhaps from an earlier attempt).
            Conflict: an object of that name is there, but not that one.
        """
        preconditions = query_of(uid=uid, resourceVersion=resource_version)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            options["preconditions"] = preconditions
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        call = Call(
            verb="delete",
            method="DELETE",
            path=resource.path(namespace, name),
            resource=resource.plural,
            body=encode(options),
            fence=self._fence,
        )
        await self._transport.request(call)

    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str,
        timeout_seconds: float | None = None,
    ) -> AsyncGenerator[dict[str, Any]]:
        """Give events (`{"type": …, "object": …}`) after `resource_version`, bookmarks included.

        Ends when the server ends it after `timeout_seconds`. Not repeated: the caller knows from
        which version to go on.

        Raises:
            Gone: the version is too old: list again.
            Unreachable: the connection broke, or was silent for 75 s.
        """
        query = query_of(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=None if timeout_seconds is None else int(timeout_seconds),
        )
        call = _call("watch", resource, resource.path(namespace), query)
        async with aclosing(lines_of(self._transport, call, whole=True)) as lines:
            async for line in lines:
                event = decode(line, call)
                if event["type"] == "ERROR":
                    raise error_of_status(event["object"])
                yield event

    async def pod_logs(
        self,
        name: str,
        *,
        namespace: str,
        container: str | None = None,
        follow: bool = False,
        tail_lines: int | None = None,
        since: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """Give a container's log, line by line without the line ends.

        `since` is in seconds before now. A followed log may be silent as long as the container.
        """
        query = query_of(
            container=container,
            follow="true" if follow else None,
            tailLines=tail_lines,
            sinceSeconds=None if since is None else max(1, int(since)),
        )
        call = _call("logs", PODS, PODS.path(namespace, name, "log"), query)
        async with aclosing(lines_of(self._transport, call, whole=False, patient=follow)) as lines:
            async for line in lines:
                yield line

    async def raw_get(self, path: str) -> bytes:
        """Return what the server has at `path`, as `/version`."""
        return await self._transport.request(Call(verb="get", method="GET", path=path))

    async def _patch(
        self,
        path: str,
        resource: Resource,
        *,
        body: object,
        kind: str,
        query: dict[str, str] | None = None,
        brief: bool = False,
    ) -> dict[str, Any]:
        call = Call(
            verb="patch",
            method="PATCH",
            path=path,
            resource=resource.plural,
            query=query or {},
            body=encode(body),
            content_type=kind,
            brief=brief,
            fence=self._fence,
        )
        return await self._json(call)

    async def _json(self, call: Call) -> dict[str, Any]:
        return decode(await self._transport.request(call), call)


def _call(verb: str, resource: Resource, path: str, query: dict[str, str] | None = None) -> Call:
    return Call(verb=verb, method="GET", path=path, resource=resource.plural, query=query or {})


def _namespace_of(resource: Resource, body: dict[str, Any]) -> str | None:
    return (body.get("metadata") or {}).get("namespace") if resource.namespaced else None
