"""What can go wrong with data, in one tree.

Every message is a sentence for the person who reads it in the run's status: it names the place and
the remedy, and never a credential. `reason` is a stable CamelCase word for programs; `retryable`
says whether the same call may succeed later without anybody changing anything.
"""

from __future__ import annotations

from typing import ClassVar


class DatasetError(Exception):
    """Root of all errors of this package."""

    retryable: ClassVar[bool] = False
    default_reason: ClassVar[str] = "DatasetError"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason


class StorageError(DatasetError):
    """The object storage could not do what it was asked for."""

    default_reason = "StorageError"


class StorageUnavailableError(StorageError):
    """Network trouble or a server error: worth trying again."""

    retryable = True
    default_reason = "StorageUnavailable"


class StorageRefusedError(StorageError):
    """Wrong credentials, endpoint or bucket: somebody must change the settings."""

    default_reason = "StorageRefused"


class BlobMissingError(StorageError):
    """An object that a version needs is not in the bucket."""

    default_reason = "BlobMissing"


class BlobCorruptError(StorageError):
    """An object does not hold the bytes that its digest promises."""

    default_reason = "BlobCorrupt"


class ManifestError(BlobCorruptError):
    """A manifest is malformed, breaks the path rules or is not the one that was asked for."""

    default_reason = "ManifestInvalid"


class PathMissingError(DatasetError):
    """A version holds no such file or folder."""

    default_reason = "PathMissing"


class TreeError(DatasetError):
    """A directory cannot become a version as it is: the job has to change its output."""

    default_reason = "OutputUnacceptable"


class LocalDiskError(DatasetError):
    """The local file system failed: no space, no permission, an I/O error."""

    default_reason = "LocalDisk"


class ResultError(DatasetError):
    """The result of an upload is malformed, truncated or too large."""

    default_reason = "ResultInvalid"


class CancelledError(DatasetError):
    """The transfer was told to stop."""

    default_reason = "Cancelled"
