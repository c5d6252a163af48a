"""An API server in memory: the part of `KubeClient` that the command line uses."""

import copy
import itertools

from gradient_operator.kube.client import ListResult
from gradient_operator.kube.errors import AlreadyExists, Conflict, Invalid, NotFound

CREATED = "2026-01-31T12:00:00Z"


class FakeClient:
    """Objects by resource, namespace and name; logs by Pod. `calls` are the writes, in order."""

    default_namespace = "team"

    def __init__(self):
        self.objects = {}
        self.logs = {}
        self.calls = []
        self.failures = []
        self._count = itertools.count(1)

    def add(self, resource, body, *, namespace="team"):
        """Put an object there as if somebody else had made it."""
        stored = copy.deepcopy(body)
        metadata = stored.setdefault("metadata", {})
        number = next(self._count)
        metadata.setdefault("uid", f"uid-{number}")
        metadata.setdefault("creationTimestamp", CREATED)
        metadata["resourceVersion"] = str(number)
        metadata["namespace"] = namespace
        self.objects[resource.plural, namespace, metadata["name"]] = stored
        return copy.deepcopy(stored)

    def of(self, resource, *, namespace="team"):
        """All objects of a kind, by name."""
        return {
            name: item
            for (plural, place, name), item in self.objects.items()
            if (plural, place) == (resource.plural, namespace)
        }

    def _fail(self):
        if self.failures:
            raise self.failures.pop(0)

    async def get(self, resource, *, name, namespace=None):
        self._fail()
        try:
            return copy.deepcopy(self.objects[resource.plural, namespace, name])
        except KeyError:
            message = f'{resource.plural} "{name}" not found'
            raise NotFound(message) from None

    async def list_all(
        self, resource, *, namespace=None, label_selector=None, field_selector=None, limit=500
    ):
        self._fail()
        fields = [part.partition("=") for part in (field_selector or "").split(",") if part]
        parts = [part.partition("=") for part in (label_selector or "").split(",") if part]
        items = [
            copy.deepcopy(item)
            for (plural, place, _), item in self.objects.items()
            if plural == resource.plural and namespace in {None, place}
            if all(_selected(item, *part) for part in parts)
            if all(_field(item, path) == value for path, _, value in fields)
        ]
        return ListResult(items, "1")

    async def list_pages(self, resource, *, namespace=None, limit=500):
        everything = await self.list_all(resource, namespace=namespace)
        for start in range(0, len(everything.items), limit):
            yield ListResult(everything.items[start : start + limit], "1")

    async def create(self, resource, body, *, namespace=None):
        self._fail()
        name = body["metadata"]["name"]
        if (resource.plural, namespace, name) in self.objects:
            raise AlreadyExists(f'{resource.plural} "{name}" already exists')
        self.calls.append(("create", resource.plural, name))
        return self.add(resource, body, namespace=namespace)

    async def merge_patch(self, resource, body, *, name, namespace=None, subresource=None):
        self._fail()
        current = await self.get(resource, name=name, namespace=namespace)
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version not in {None, current["metadata"]["resourceVersion"]}:
            raise Conflict("the object has been modified")
        self.calls.append(("patch", resource.plural, name))
        if subresource == "status":
            body = {"status": body["status"]}
        return self.add(resource, merged(current, body), namespace=namespace)

    async def pod_logs(
        self, name, *, namespace, container=None, follow=False, tail_lines=None, since=None
    ):
        script = self.logs.get((name, container))
        if script is None:
            raise Invalid(f"container {container} in pod {name} is waiting to start")
        for line in script:
            if isinstance(line, Exception):
                script.remove(line)
                raise line
            yield line


def _field(item, path):
    for part in path.split("."):
        item = (item or {}).get(part)
    return item


def _selected(item, key, equals, value):
    labels = item["metadata"].get("labels") or {}
    return labels.get(key) == value if equals else key in labels


def merged(target, patch):
    """RFC 7396, written down from its pseudocode."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def run_object(name="train-aaaa", *, phase=None, jobs=None, definition=None, **status):
    """A `GradientRun`; without a phase the operator has not seen it."""
    body = {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": CREATED},
        "spec": {"workflow": "train", "definition": definition or {"jobs": {}}},
    }
    if phase is not None:
        body["status"] = {"phase": phase, "jobs": jobs or {}, **status}
    return body
