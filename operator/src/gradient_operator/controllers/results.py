"""What the helpers said, decoded for the planner: their termination messages, or the full result.

The messages come from containers beside the user's: they are read as hostile input.
"""

from gradient_operator.datasets import result as wire
from gradient_operator.datasets.errors import ResultError
from gradient_operator.datasets.manifest import Version
from gradient_operator.engine.model import OutputRecord, PodRecord, UploadResult


def decode_pod(pod: PodRecord) -> UploadResult | None:
    """What a helper of a Pod said at its end; None while there is nothing.

    An action that failed comes first: what the uploader then kept of it is of no use.
    """
    if pod.has_action and pod.main is not None and pod.main.exit_code:
        return _decode(pod.main.message, failed=True)
    for container in (pod.uploader, pod.fetch):
        if container is None or not container.terminated:
            continue
        failed = container.exit_code != 0
        if container is pod.fetch and not failed:
            continue
        return _decode(container.message, failed=failed)
    return None


def _decode(message: str, *, failed: bool) -> UploadResult:
    try:
        decoded = wire.decode_message(message)
    except ResultError as error:
        # A helper that crashed left log lines instead of a message: they say more than the error.
        return UploadResult(error="" if failed else str(error), unreadable=True)
    if isinstance(decoded, wire.FailureMessage):
        return UploadResult(error=decoded.error, reason=decoded.reason)
    outputs = {
        **{name: _version(version) for name, version in decoded.outputs.items()},
        **{name: OutputRecord(value=value) for name, value in decoded.strings.items()},
        **{name: OutputRecord(ref=decoded.ref) for name in decoded.long},
    }
    return UploadResult(outputs=outputs, truncated=decoded.truncated, ref=decoded.ref)


def of_full(result: wire.UploadResult, reference: str) -> UploadResult:
    """The full result, its long strings left where they are."""
    outputs = {name: _version(version) for name, version in result.outputs.items()}
    for name, value in result.strings.items():
        short = len(value.encode()) <= wire.INLINE_STRING_BYTES
        outputs[name] = OutputRecord(value=value) if short else OutputRecord(ref=reference)
    return UploadResult(outputs=outputs, ref=reference)


def _version(version: Version) -> OutputRecord:
    return OutputRecord(digest=version.digest, bytes=version.bytes, files=version.files)
