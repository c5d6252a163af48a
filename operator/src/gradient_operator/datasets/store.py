"""A bucket as this package uses it: blobs that never change, named by the digest of their bytes.

Adds to a backend what every caller needs: the prefix, retries with back-off, cancellation, and the
rule for objects that exist already. It never creates a bucket, and only the collector's store can
delete.
"""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import time
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import TYPE_CHECKING, BinaryIO, Final, Self, TypeVar

from gradient_operator.datasets.backend import (
    Backend,
    BlobExistsError,
    BlobInfo,
    Data,
    ObstoreBackend,
    open_backend,
)
from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    StorageRefusedError,
    StorageUnavailableError,
)
from gradient_operator.datasets.layout import FORMAT_KEY, format_body
from gradient_operator.datasets.pool import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradient_operator.datasets.credentials import Credentials
    from gradient_operator.datasets.location import StorageLocation

T = TypeVar("T")
_log = logging.getLogger(__name__)
_random = SystemRandom()

HEAD_FIRST_BYTES: Final = 256 * 1024
"""Blobs of at least this size are asked for before they are sent: a conditional PUT that is
rejected has cost its whole body."""


_MOST_DELETED: Final = 1_000
"""Objects in one request, as S3 allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long an operation is tried again while the storage is unavailable; all in seconds."""

    first_delay: float = 0.2
    longest_delay: float = 10.0
    elapsed: float = 300.0
    """Give up when one operation has failed for so long."""
    deadline: float | None = None
    """Give up at this time of `time.monotonic`, whatever the operation."""

    def delay(self, attempt: int) -> float:
        """Return the pause after failure number `attempt` (from 0): exponential, with jitter."""
        bound = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt, 30))
        return float(_random.uniform(bound / 2, bound))


class _Patience:
    """The failures of one operation: waits after each, and gives up when the policy says so."""

    def __init__(self, policy: RetryPolicy, cancellation: Cancellation) -> None:
        self._policy = policy
        self._cancellation = cancellation
        self._started = time.monotonic()
        self._failures = 0

    def progressed(self) -> None:
        """Begin to count anew: something has been achieved since the last failure."""
        self._started = time.monotonic()
        self._failures = 0

    def wait_after(self, error: StorageUnavailableError) -> None:
        """Pause before the next attempt.

        Raises:
            StorageUnavailableError: there is none; this is the error that was given.
            CancelledError: the transfer was cancelled meanwhile.
        """
        delay = self._policy.delay(self._failures)
        now, deadline = time.monotonic() + delay, self._policy.deadline
        if now - self._started > self._policy.elapsed or (deadline is not None and now > deadline):
            raise error
        _log.warning("%s Trying again in %.1f s.", error, delay)
        self._failures += 1
        self._cancellation.pause(delay)


class BlobStore:
    """Reads and writes immutable blobs and the few small objects beside them.

    All methods raise `StorageUnavailableError` when the retry policy is exhausted and
    `StorageRefusedError` at once; safe to use from several threads.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        prefix: str = "",
        retry: RetryPolicy | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._backend = backend
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._retry = retry or RetryPolicy()
        self.cancellation = cancellation or Cancellation()

    @classmethod
    def open(
        cls,
        location: StorageLocation,
        credentials: Credentials | None = None,
        *,
        retry: RetryPolicy | None = None,
        cancellation: Cancellation | None = None,
    ) -> Self:
        """Connect to a location; no request is made yet.

        Raises:
            StorageRefusedError: the settings cannot be used.
        """
        backend = open_backend(location, credentials)
        return cls(backend, prefix=location.prefix, retry=retry, cancellation=cancellation)

    def with_retry(self, retry: RetryPolicy, cancellation: Cancellation) -> BlobStore:
        """Return the same store with another patience and another way to be stopped."""
        return BlobStore(self._backend, prefix=self._prefix, retry=retry, cancellation=cancellation)

    def renew_keys(self) -> None:
        """Get new keys now, where a token service gives them: the token may end soon."""
        if isinstance(self._backend, ObstoreBackend):
            self._call(self._backend.renew)

    def add(self, key: str, data: Data) -> bool:
        """Make sure that a content-addressed blob is there; True if this call wrote it.

        A conflict proves nothing: it may be another writer that still fails. So the object must be
        seen with the right size, or it is written again without a condition, with equal bytes.
        """
        if len(data) >= HEAD_FIRST_BYTES and self.size(key) == len(data):
            return False
        try:
            self._call(lambda: self._backend.put(self._prefix + key, data, create=True))
        except BlobExistsError:
            if self.size(key) == len(data):
                return False
            self.put(key, data)
        return True

    def put(self, key: str, data: Data) -> None:
        """Write an object, replacing one that is there."""
        self._call(lambda: self._backend.put(self._prefix + key, data, create=False))

    def get(self, key: str, span: tuple[int, int] | None = None) -> memoryview:
        """Read an object, or the bytes from the first to before the second number of `span`.

        Raises:
            BlobMissingError: there is no such object.
        """
        return self._call(lambda: self._backend.get(self._prefix + key, span))

    def get_verified(self, key: str, digest: str, *, size: int) -> memoryview:
        """Read a whole blob of `size` bytes whose SHA-256 is `digest`.

        Raises:
            BlobCorruptError: twice in a row the bytes were not the promised ones.
            BlobMissingError: there is no such object.
        """
        data = bytearray(size)
        view = memoryview(data)

        def keep(piece: Data, offset: int) -> None:
            view[offset : offset + len(piece)] = piece

        self.copy_verified(key, digest, size=size, write=keep)
        return view

    def copy_verified(
        self, key: str, digest: str, *, size: int, write: Callable[[Data, int], None]
    ) -> None:
        """Hand a blob over piece by piece, with each piece's offset, and check it on the way.

        The pieces can be trusted when this returns, not before: after damage on the way everything
        is handed over once more from the start.

        Raises:
            BlobCorruptError: twice in a row the bytes were not the promised ones.
            BlobMissingError: there is no such object.
        """
        for _ in range(2):
            hasher = hashlib.sha256()
            offset = 0
            for piece in self.stream(key):
                if offset + len(piece) > size:
                    break
                write(piece, offset)
                hasher.update(piece)
                offset += len(piece)
            if offset == size and hasher.hexdigest() == digest:
                return
        raise corrupt(key)

    def stream(self, key: str) -> Iterator[Data]:
        """Read an object in pieces; after a cut connection it goes on where that was cut.

        Raises:
            BlobMissingError: there is no such object.
        """
        patience = _Patience(self._retry, self.cancellation)
        position = 0
        while True:
            self.cancellation.check()
            try:
                for piece in self._backend.stream(self._prefix + key, position):
                    self.cancellation.check()
                    position += len(piece)
                    patience.progressed()
                    yield piece
                return
            except StorageUnavailableError as error:
                patience.wait_after(error)

    def spool(self, key: str, *, limit: int) -> BinaryIO:
        """Copy an object of at most `limit` bytes to a temporary file, positioned at its start.

        Raises:
            BlobMissingError: there is no such object.
            BlobCorruptError: the object is longer.
        """
        file = open_spool()
        try:
            for piece in self.stream(key):
                if file.tell() + len(piece) > limit:
                    raise BlobCorruptError(f"The object {key} is longer than {limit} bytes.")
                file.write(piece)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def size(self, key: str) -> int | None:
        """Length of an object in bytes, or None if there is none."""
        return self._call(lambda: self._backend.size(self._prefix + key))

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All objects below a folder, with keys relative to the store's prefix; not retried."""
        for info in self._backend.list(self._prefix + prefix):
            yield replace(info, key=info.key.removeprefix(self._prefix))

    def list_few(self, prefix: str) -> Sequence[BlobInfo]:
        """As `list`, all at once and with retries: for folders that hold few objects."""
        return self._call(lambda: tuple(self.list(prefix)))

    def ensure_format(self) -> None:
        """Write the layout's marker if it is missing, and refuse another layout.

        A missing bucket is no obstacle yet: SeaweedFS makes it with its first object, for who may.
        Otherwise the write is refused, for one reason or another: what is told is the cause.

        Raises:
            StorageRefusedError: the bucket holds a layout that this program does not know, or
                there is no bucket.
        """
        try:
            present = self.check_format()
        except StorageRefusedError as missing:
            if missing.reason != "BucketMissing":
                raise
            try:
                self.add(FORMAT_KEY, format_body())
            except StorageRefusedError:
                raise missing from None
            return
        if not present:
            self.add(FORMAT_KEY, format_body())

    def check_format(self) -> bool:
        """Tell whether the layout's marker is there.

        Raises:
            StorageRefusedError: the bucket holds a layout that this program does not know.
        """
        try:
            body = bytes(self.get(FORMAT_KEY)[:4096])
        except BlobMissingError:
            return False
        if body != format_body():
            raise StorageRefusedError(
                f"The object {self._prefix}{FORMAT_KEY} names a layout of datasets that this "
                "program does not know: use the version that wrote it, or another prefix.",
                reason="LayoutUnknown",
            )
        return True

    def _call(self, operation: Callable[[], T]) -> T:
        patience = _Patience(self._retry, self.cancellation)
        while True:
            self.cancellation.check()
            try:
                return operation()
            except StorageUnavailableError as error:
                patience.wait_after(error)


class CollectorStore(BlobStore):
    """A store that may delete too: the collector's, with keys of its own."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error. Never retried: see `sweeps.py`."""
        for start in range(0, len(keys), _MOST_DELETED):
            self._backend.delete(
                [self._prefix + key for key in keys[start : start + _MOST_DELETED]]
            )


def corrupt(key: str) -> BlobCorruptError:
    """Build the error for an object whose bytes are not those that its name promises."""
    return BlobCorruptError(
        f"The object {key} does not hold the bytes that its name promises: it was changed or "
        "damaged in the storage. Restore it from a backup or make the version again."
    )


def open_spool() -> BinaryIO:
    """Open a nameless temporary file, or memory where there is no writable folder for it."""
    try:
        return tempfile.TemporaryFile(prefix="gradient-")
    except OSError:
        return io.BytesIO()
