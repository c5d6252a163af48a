"""What is kept of a run in object storage when the cluster forgets it: its object, and its logs.

The record is written last, so that where it is the rest is too. Keys hold the namespace and the
name of the run, which Kubernetes restricts to letters, digits, `-` and `.`; names of jobs stand in
the record only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import zstandard

from gradient_operator.datasets.errors import BlobCorruptError
from gradient_operator.datasets.layout import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradient_operator.datasets.store import BlobStore

HISTORY: Final = f"{ROOT}/history"
_RECORD: Final = "record.json.zst"
_LONGEST: Final = 64 * 1024 * 1024
"""Bytes that a record or a log may have once it is decompressed."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log: of which attempt, where it stands, and whether its beginning was left out."""

    job: str
    attempt: int
    key: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Archived:
    """A run as it was, without what only the API server cares for."""

    run: Mapping[str, Any]
    logs: tuple[Log, ...] = ()


def folder(namespace: str, run: str, uid: str) -> str:
    """The prefix of what is kept of one run."""
    return f"{HISTORY}/{namespace}/{run}/{uid}"


def record_key(namespace: str, run: str, uid: str) -> str:
    """The key of a run's record."""
    return f"{folder(namespace, run, uid)}/{_RECORD}"


def log_key(namespace: str, run: str, uid: str, number: int) -> str:
    """The key of a run's n-th log."""
    return f"{folder(namespace, run, uid)}/logs/{number}.zst"


def write_log(store: BlobStore, key: str, text: bytes) -> None:
    """Keep a log.

    Raises:
        DatasetError: the storage does not take it.
    """
    store.put(key, zstandard.compress(text))


def write_record(store: BlobStore, archived: Archived) -> None:
    """Keep the record, after its logs.

    Raises:
        DatasetError: the storage does not take it.
    """
    metadata = archived.run["metadata"]
    body = {"v": 1, "run": archived.run, "logs": [asdict(log) for log in archived.logs]}
    key = record_key(metadata["namespace"], metadata["name"], metadata["uid"])
    store.put(key, zstandard.compress(json.dumps(body, separators=(",", ":")).encode()))


def read_log(store: BlobStore, log: Log) -> bytes:
    """The text of a log.

    Raises:
        DatasetError: it is not there, or not what was written.
    """
    return _read(store, log.key)


def read_records(store: BlobStore, namespace: str, run: str | None = None) -> Iterator[Archived]:
    """What is kept of a namespace's runs, or of those of one name.

    Raises:
        DatasetError: the storage does not answer, or a record is not one.
    """
    prefix = f"{HISTORY}/{namespace}" if run is None else f"{HISTORY}/{namespace}/{run}"
    for info in store.list(prefix):
        if info.key.endswith(f"/{_RECORD}"):
            yield _decode(info.key, _read(store, info.key))


def _decode(key: str, text: bytes) -> Archived:
    try:
        body = json.loads(text)
        return Archived(body["run"], tuple(Log(**log) for log in body["logs"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BlobCorruptError(f"{key} is not the record of a run: {error}") from None


def _read(store: BlobStore, key: str) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(store.get(key), max_output_size=_LONGEST)
    except zstandard.ZstdError as error:
        raise BlobCorruptError(f"{key} cannot be decompressed: {error}") from None
