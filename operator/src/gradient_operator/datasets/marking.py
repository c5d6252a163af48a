"""What of a bucket is reachable: found from the versions that the cluster knows.

Every key is kept as 32 bytes or so, whatever the number of files; a manifest is read as a stream,
once, however often the question is asked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradient_operator.datasets.errors import BlobMissingError, DatasetError, ResultError
from gradient_operator.datasets.layout import (
    manifest_key,
    provenance_digest,
    run_key,
    run_reference,
)
from gradient_operator.datasets.manifest import ManifestReader
from gradient_operator.datasets.result import read_result
from gradient_operator.datasets.verify import blobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradient_operator.datasets.store import BlobStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Roots:
    """What the cluster still needs, whatever it is for."""

    digests: frozenset[str] = frozenset()
    """Of versions, and of everything that runs and models name."""
    results: frozenset[str] = frozenset()
    """UIDs of Pods whose results may still be read."""
    records: frozenset[str] = frozenset()
    """Keys of the mirror's records that describe something that exists."""


@dataclass(slots=True)
class Reachable:
    """The keys that must stay; it only ever grows."""

    store: BlobStore
    keys: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Versions whose manifest is not in the bucket: nothing can be kept for them."""
    _read: set[str] = field(default_factory=set)

    def add(self, roots: Roots) -> None:
        """Everything that the roots need.

        Raises:
            ManifestError: a manifest is damaged: what it needs cannot be known.
            StorageError: the storage does not answer or refuses us.
        """
        self.keys |= roots.records
        for uid in roots.results:
            self.keys.add(run_key(uid, "result.json"))
            self.keys.add(run_key(uid, "abort"))
        self.add_results(roots.results)
        for digest in roots.digests:
            self.add_version(digest)

    def add_results(self, pods: Iterable[str]) -> None:
        """The versions that the results of these Pods name; one without a result names none."""
        for uid in pods:
            if uid in self._read:
                continue
            try:
                result = read_result(self.store, run_reference(uid, "result.json"))
            except BlobMissingError:
                continue  # asked again by the next look: it may still upload
            except ResultError as error:
                # The operator refuses it, too: no version comes of it. What the Pod itself says
                # of its outputs is among the digests.
                _log.warning("the result of Pod %s names no versions: %s", uid, error)
                continue
            self._read.add(uid)
            for version in result.outputs.values():
                self.add_version(version.digest)

    def add_version(self, digest: str) -> None:
        """A manifest, and every blob that it names."""
        if digest in self._read:
            return
        try:
            with ManifestReader.fetch(self.store, digest) as manifest:
                self.keys.update(blobs(manifest))
        except BlobMissingError as error:
            if error.reason != "VersionMissing":
                raise
            self.missing.add(digest)
            return
        except DatasetError:
            _log.exception("the manifest of version %s cannot be read", digest)
            raise
        self.keys.add(manifest_key(digest))
        self.missing.discard(digest)
        self._read.add(digest)

    def covers(self, key: str) -> bool:
        """Whether this object must stay; what tells of a version stays as long as that does."""
        told_of = provenance_digest(key)
        return (key if told_of is None else manifest_key(told_of)) in self.keys
