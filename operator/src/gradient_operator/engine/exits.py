"""The exit codes of the helpers `fetch` and `uploader`, as both sides of the protocol know them.

The values follow sysexits.h where it has a fitting one.
"""

from enum import IntEnum

from gradient_operator.engine.model import FailureClass


class HelperExit(IntEnum):
    """How a helper ended."""

    OK = 0
    BAD_DATA = 65
    """The job's own outputs are unacceptable: not retried."""
    INPUT_MISSING = 66
    INPUT_CORRUPT = 67
    ABORTED = 74
    STORAGE_UNAVAILABLE = 75
    STORAGE_REFUSED = 77


def classify(code: int, *, uploading: bool) -> tuple[FailureClass, str]:
    """The failure class and reason of a helper's exit code."""
    if code == HelperExit.BAD_DATA:
        return FailureClass.DATA, "OutputRefused"
    if code == HelperExit.INPUT_MISSING:
        return FailureClass.DATA, "InputMissing"
    if code == HelperExit.INPUT_CORRUPT:
        return FailureClass.DATA, "InputCorrupt"
    if code in {HelperExit.STORAGE_UNAVAILABLE, HelperExit.STORAGE_REFUSED}:
        return FailureClass.STORAGE, HelperExit(code).name.title().replace("_", "")
    return FailureClass.UPLOAD if uploading else FailureClass.STORAGE, (
        "UploadFailed" if uploading else "FetchFailed"
    )
