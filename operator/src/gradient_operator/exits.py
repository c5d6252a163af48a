"""Exit codes of the helpers: what the operator decides on without reading a log.

Both sides of the protocol take them from here. The values follow sysexits.h where it has a fitting
one. Nothing else may be imported: the helpers must start fast.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Why a helper ended. The termination message says more."""

    OK = 0
    """Done, and everything is in place."""

    FAILED = 1
    """Anything without a code of its own: settings, local disk, git, a defect of ours."""

    DATA_UNACCEPTABLE = 65
    """The job's own data cannot be taken: the same job would fail the same way. Not retried."""

    INPUT_MISSING = 66
    """An input version, or a part of it, is not in the storage."""

    INPUT_CORRUPT = 67
    """An input's bytes are not the ones that its digest promises."""

    ABORTED = 74
    """The operator asked for the upload to stop."""

    STORAGE_UNAVAILABLE = 75
    """Network or server trouble outlasted the retries, or the grace period. Retried."""

    STORAGE_REFUSED = 77
    """The storage refused the credentials, the bucket or the endpoint."""
