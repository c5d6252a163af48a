"""An API server in memory, for whole operators: all kinds, watches, finalizers, grace.

What it does is what the real one does: `behaviours.py` is asked of both. It answers at once and
never fails by itself; delays, faults and deaths happen on the `line` that leads to it.
"""

import marshal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gradient_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Gone,
    NotFound,
    error_of_status,
)
from tests.unit.controllers.memory_api import merge

Item = dict[str, Any]
Key = tuple[str, str, str]
WITH_STATUS = {
    "pods",
    "persistentvolumeclaims",
    "gradientworkflows",
    "gradientruns",
    "gradientdatasets",
    "gradientstorageproviders",
}
POD_GRACE = 30
ANOTHER_UID = {
    "code": 422,
    "reason": "Invalid",
    "message": "metadata.uid: Invalid value: field is immutable",
    "details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]},
}
KEPT_BY_THE_SERVER = ("uid", "name", "namespace", "creationTimestamp", "generation")


@dataclass(frozen=True)
class Address:
    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return self.plural, self.namespace, self.name


@dataclass(frozen=True)
class Change:
    kind: str
    plural: str
    item: Item
    before: Item | None
    version: int


@dataclass
class Write:
    """A write that took effect: who, what, and the object before and after it."""

    by: str
    verb: str
    address: Address
    before: Item | None
    after: Item | None


@dataclass(eq=False)
class Server:
    """`clock` gives the seconds since the epoch that stand in timestamps."""

    clock: Callable[[], float]
    objects: dict[Key, Item] = field(default_factory=dict)
    version: int = 1
    compacted: int = 0
    history: list[Change] = field(default_factory=list)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    auditors: list[Callable[[Write], None]] = field(default_factory=list)
    _named: Counter[tuple[str, str]] = field(default_factory=Counter)

    # Requests -----------------------------------------------------------------------------------

    def get(self, address: Address) -> Item:
        if address.key not in self.objects:
            raise NotFound(f"{address.plural} {address.name!r} not found")
        return copied(self.objects[address.key])

    def listed(self, address: Address, query: dict[str, str]) -> Item:
        chosen = [
            item
            for (plural, namespace, _), item in sorted(self.objects.items(), key=lambda kv: kv[0])
            if plural == address.plural
            and address.namespace in ("", namespace)
            and selects(query, item)
        ]
        begin = int(query.get("continue", 0))
        end = begin + (int(query.get("limit", 0)) or len(chosen))
        metadata = {"resourceVersion": str(self.version)}
        if end < len(chosen):
            metadata["continue"] = str(end)
        return {"metadata": metadata, "items": copied(chosen[begin:end])}

    def changes(self, address: Address, query: dict[str, str], since: int) -> Iterator[Item]:
        """What a watch tells of what happened after `since`."""
        if since < self.compacted:
            raise Gone(f"too old resource version: {since}")
        for change in self.history[-(self.version - since) or len(self.history) :]:
            if change.version > since and change.plural == address.plural:
                yield from self.told(change, address, query)

    def told(self, change: Change, address: Address, query: dict[str, str]) -> Iterator[Item]:
        """A change as one watch sees it: leaving the selection is a deletion."""
        if change.plural != address.plural:
            return
        if address.namespace not in ("", change.item["metadata"].get("namespace", "")):
            return
        before = change.before is not None and selects(query, change.before)
        after = change.kind != "DELETED" and selects(query, change.item)
        if before or after:
            kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
            yield {"type": kind, "object": change.item}

    def create(self, address: Address, body: Item, *, by: str = "") -> Item:
        metadata = dict(body["metadata"])
        address = Address(address.plural, address.namespace, metadata["name"], "")
        if address.key in self.objects:
            raise AlreadyExists(f"{address.plural} {address.name!r} already exists")
        item = copied({**body, "metadata": metadata})
        item["metadata"] |= {"creationTimestamp": self.now(), "generation": 1}
        if address.namespace:
            item["metadata"]["namespace"] = address.namespace
        self._named[address.plural, address.name] += 1
        count = self._named[address.plural, address.name]
        seed = f"{address.plural}/{address.name}/{count}"  # the same object, the same UID
        item["metadata"]["uid"] = str(uuid.uuid5(uuid.NAMESPACE_OID, seed))
        if address.plural in WITH_STATUS:
            item.pop("status", None)
        if address.plural == "pods":
            item["status"] = {"phase": "Pending"}
            item["spec"].setdefault("terminationGracePeriodSeconds", POD_GRACE)
        self._store("ADDED", address, item, by=by, verb="create")
        made = copied(item)
        self._collect_garbage()
        return made

    def patch(self, address: Address, body: Item, *, by: str = "") -> Item:
        current = self.get(address)
        wanted = body.get("metadata") or {}
        if wanted.get("resourceVersion") not in (None, current["metadata"]["resourceVersion"]):
            raise Conflict("the object has been modified")
        # The status of a custom resource is written whatever UID the patch names.
        custom_status = address.subresource == "status" and address.plural.startswith("gradient")
        if not custom_status and wanted.get("uid") not in (None, current["metadata"]["uid"]):
            raise error_of_status(ANOTHER_UID)
        body = copied(body)
        split = address.plural in WITH_STATUS
        if address.subresource == "status":
            body = {"status": body.get("status")}
        elif split:
            body.pop("status", None)
        metadata = body.get("metadata") or {}
        for name in (*KEPT_BY_THE_SERVER, "resourceVersion"):
            metadata.pop(name, None)
        item = merge(current, body)
        if item == current:
            return item
        if item.get("spec") != current.get("spec"):
            item["metadata"]["generation"] += 1
        self._store("MODIFIED", address, item, by=by, verb="patch")
        result = copied(item)
        self._let_go(address, by=by)
        return result

    def delete(self, address: Address, options: Item, *, by: str = "") -> Item:
        current = self.get(address)
        wanted = options.get("preconditions") or {}
        if any(current["metadata"][name] != value for name, value in wanted.items()):
            raise Conflict("a precondition failed")
        metadata = current["metadata"]
        grace = 0
        if address.plural == "pods":
            grace = options.get(
                "gracePeriodSeconds", current["spec"]["terminationGracePeriodSeconds"]
            )
            ended = current["status"]["phase"] in ("Succeeded", "Failed")
            if ended or not current["spec"].get("nodeName"):
                grace = 0
            if metadata.get("deletionGracePeriodSeconds", grace) < grace:
                grace = metadata["deletionGracePeriodSeconds"]
        deleting = "deletionTimestamp" in metadata
        if not deleting or grace < metadata.get("deletionGracePeriodSeconds", 0):
            metadata["deletionTimestamp"] = self.now(grace)
            metadata["deletionGracePeriodSeconds"] = grace
            if metadata.get("finalizers") or grace:
                self._store("MODIFIED", address, current, by=by, verb="delete")
                return current
        if not metadata.get("finalizers") and not grace:
            self._remove(address, by=by, verb="delete")
        return current

    # Under the hood -----------------------------------------------------------------------------

    def now(self, later: float = 0.0) -> str:
        return datetime.fromtimestamp(self.clock() + later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def all(self, plural: str) -> list[Item]:
        return [item for (kind, _, _), item in sorted(self.objects.items()) if kind == plural]

    def compact(self) -> None:
        """Forget the history: watches go on from the present version only."""
        self.compacted = self.version
        self.history.clear()

    def _store(self, kind: str, address: Address, item: Item, *, by: str, verb: str) -> None:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        before = self.objects.get(address.key)
        kept = copied(item)
        self.objects[address.key] = kept
        for audit in self.auditors:
            audit(Write(by, verb, address, before, kept))
        self._tell(Change(kind, address.plural, kept, before, self.version))

    def _remove(self, address: Address, *, by: str, verb: str) -> None:
        before = self.objects.pop(address.key)
        self.version += 1
        last = copied(before)
        last["metadata"]["resourceVersion"] = str(self.version)
        for audit in self.auditors:
            audit(Write(by, verb, address, before, None))
        self._tell(Change("DELETED", address.plural, last, before, self.version))
        self._collect_garbage()

    def _let_go(self, address: Address, *, by: str) -> None:
        """Remove an object whose deletion waited for the finalizer that is gone now."""
        metadata = self.objects[address.key]["metadata"]
        waits = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" in metadata and not waits:
            self._remove(address, by=by, verb="patch")

    def _tell(self, change: Change) -> None:
        self.history.append(change)
        for listener in list(self.listeners):
            listener(change)

    def _collect_garbage(self) -> None:
        """Delete what belongs to an owner that exists no more."""
        alive = {item["metadata"]["uid"] for item in self.objects.values()}
        for (plural, namespace, name), item in list(self.objects.items()):
            owners = item["metadata"].get("ownerReferences") or ()
            orphaned = owners and not any(owner["uid"] in alive for owner in owners)
            if orphaned and "deletionTimestamp" not in item["metadata"]:
                self.delete(Address(plural, namespace, name, ""), {}, by="garbage collector")


def copied(value: Any) -> Any:
    """A deep copy of JSON, in a tenth of the time that `copy.deepcopy` takes."""
    return marshal.loads(marshal.dumps(value))  # noqa: S302 - what was dumped here


def address_of(path: str) -> Address:
    """Read a path as the API server does."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return Address(plural, namespace, name, subresource)


def selects(query: dict[str, str], item: Item) -> bool:
    """Whether an item is chosen by `labelSelector` and `fieldSelector`."""
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = term.partition("=")
        if name not in labels or ("=" in term and labels[name] != value):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        differs = "!=" in term
        name, _, value = term.partition("!=" if differs else "=")
        found: Any = item
        for part in name.split("."):
            found = found.get(part, "") if isinstance(found, dict) else ""
        if (str(found) == value) == differs:
            return False
    return True
