"""Records in the bucket of what datasets and versions are called, for the day the cluster is lost.

Nothing ever reads them but recovery, and the collector, which takes away those that describe
nothing any more. The truth is in the cluster; a record that is late costs what was committed since.

    mirror/<SHA-256 of "namespace/name">/dataset.json             spec, newest version
    mirror/<SHA-256 of "namespace/name">/versions/<digest>.json   spec, when it was made
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.errors import BlobMissingError
from gradient_operator.datasets.layout import MIRROR, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradient_operator.datasets.store import BlobStore

_log = logging.getLogger(__name__)

FORMAT: Final = 1
LARGEST_RECORD: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """A dataset: the cluster object's namespace, name and spec, and its newest version's digest."""

    namespace: str
    name: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    latest: str | None = None

    @property
    def key(self) -> str:
        """Where it stands in the bucket."""
        return f"{_folder(self.namespace, self.name)}/dataset.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A version: namespace and spec of the cluster object, and when it was made (RFC 3339)."""

    namespace: str
    spec: Mapping[str, Any]
    created: str = ""

    @property
    def key(self) -> str:
        """Where it stands in the bucket."""
        folder = _folder(self.namespace, self.spec["dataset"])
        return f"{folder}/versions/{self.spec['digest']}.json"


Record = DatasetRecord | VersionRecord


def write(store: BlobStore, record: Record) -> None:
    """Put a record into the bucket.

    Raises:
        StorageError: the storage does not take it.
    """
    store.put(record.key, encode(record))


def encode(record: Record) -> bytes:
    """A record as JSON."""
    body: dict[str, Any] = {"v": FORMAT, "namespace": record.namespace, "spec": record.spec}
    if isinstance(record, DatasetRecord):
        body |= {"name": record.name, "latest": record.latest}
    else:
        body |= {"created": record.created}
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def read_all(store: BlobStore) -> Iterator[Record]:
    """All records of a bucket; what cannot be read is logged and passed over.

    Raises:
        StorageError: the storage does not answer or refuses us.
    """
    for info in store.list(MIRROR):
        record = None
        if info.size <= LARGEST_RECORD:
            try:
                record = decode(bytes(store.get(info.key)))
            except BlobMissingError:
                continue  # What it describes was deleted while this bucket was listed.
        if record is None or record.key != info.key:
            _log.warning("the record %s cannot be read and is passed over", info.key)
        else:
            yield record


def decode(data: bytes) -> Record | None:
    """A record out of its JSON; None if it is not one."""
    try:
        raw = json.loads(data.decode())
        if raw["v"] != FORMAT:
            return None
        namespace, spec = raw["namespace"], raw["spec"]
        if not isinstance(namespace, str) or not isinstance(spec, dict):
            return None
        if "name" in raw:
            return DatasetRecord(
                namespace=namespace, name=raw["name"], spec=spec, latest=raw.get("latest")
            )
        record = VersionRecord(namespace=namespace, spec=spec, created=str(raw["created"]))
        usable = isinstance(spec["dataset"], str) and is_digest(spec["digest"])
        return record if usable else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _folder(namespace: str, dataset: str) -> str:
    return f"{MIRROR}/{hashlib.sha256(f'{namespace}/{dataset}'.encode()).hexdigest()}"
