"""An API server in memory: the verbs that controllers use, and a death after some writes."""

import copy
import itertools

from gradient_operator.kube.client import ListResult
from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound


class Died(Exception):
    """The process ends here, after its last write has taken effect."""


class MemoryApi:
    """Objects by kind, namespace and name. `lives` is how many writes it still survives."""

    def __init__(self):
        self.objects = {}
        self.writes = []
        self.lives = None
        self.refusals = {}
        self._numbers = itertools.count(1)
        self._seconds = itertools.count()

    def put(self, resource, name, *, namespace="ns", **parts):
        """Make an object as if somebody else had."""
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{next(self._numbers)}",
            "resourceVersion": str(next(self._numbers)),
            "creationTimestamp": f"2026-01-31T12:00:{next(self._seconds):02}Z",
        }
        body = {"metadata": metadata | parts.pop("metadata", {}), **copy.deepcopy(parts)}
        self.objects[resource.plural, namespace, name] = body
        return body

    def all(self, resource, *, namespace="ns"):
        """Every object of a kind, by name."""
        return {
            name: body
            for (plural, place, name), body in self.objects.items()
            if (plural, place) == (resource.plural, namespace)
        }

    async def get(self, resource, *, name, namespace=None):
        try:
            return copy.deepcopy(self.objects[resource.plural, namespace, name])
        except KeyError:
            raise NotFound(f"{resource.plural} {name!r} not found") from None

    async def list_all(self, resource, *, namespace=None, label_selector=None, **_):
        wanted = dict(part.split("=") for part in (label_selector or "").split(",") if part)
        items = [
            body
            for body in self.all(resource, namespace=namespace).values()
            if wanted.items() <= body["metadata"].get("labels", {}).items()
        ]
        return ListResult(copy.deepcopy(items), "1")

    async def create(self, resource, body, *, namespace=None, brief=False):
        name = body["metadata"]["name"]
        place = namespace or body["metadata"]["namespace"]
        self._refuse("create", resource)
        if (resource.plural, place, name) in self.objects:
            raise AlreadyExists(f"{resource.plural} {name!r} already exists")
        parts = {key: value for key, value in body.items() if key != "metadata"}
        made = self.put(resource, name, namespace=place, metadata=body["metadata"], **parts)
        self._wrote("create", resource, name)
        return copy.deepcopy({"metadata": made["metadata"]} if brief else made)

    async def merge_patch(
        self, resource, body, *, name, namespace=None, subresource=None, brief=False
    ):
        current = await self.get(resource, name=name, namespace=namespace)
        self._refuse("patch", resource)
        for key in ("uid", "resourceVersion"):
            wanted = body.get("metadata", {}).get(key)
            if wanted not in (None, current["metadata"][key]):
                raise Conflict(f"{key} is another one")
        if subresource is not None:
            body = {subresource: body[subresource]}
        new = merge(current, body)
        new["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.objects[resource.plural, namespace, name] = new
        self._wrote("patch", resource, name)
        return copy.deepcopy({"metadata": new["metadata"]} if brief else new)

    async def delete(self, resource, *, name, namespace=None, uid=None, **_):
        current = await self.get(resource, name=name, namespace=namespace)
        if uid not in (None, current["metadata"]["uid"]):
            raise Conflict("uid is another one")
        del self.objects[resource.plural, namespace, name]
        self._wrote("delete", resource, name)

    def _refuse(self, verb, resource):
        error = self.refusals.get((verb, resource.plural))
        if error is not None:
            raise error

    def _wrote(self, verb, resource, name):
        self.writes.append((verb, resource.plural, name))
        if self.lives is not None:
            self.lives -= 1
            if self.lives < 0:
                raise Died


def merge(target, patch):
    """RFC 7396, as its pseudocode has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
