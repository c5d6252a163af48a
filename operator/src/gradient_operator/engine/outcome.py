"""What became of an attempt: judged from its Pod, by main's and the uploader's exit codes.

The Pod's phase alone proves nothing: a failed upload still ends in `Succeeded` (KEP-753). A job has
succeeded only if main exited 0, the uploader exited 0 after it, and its result can be read.
"""

from dataclasses import dataclass
from typing import Final

from gradient_operator.engine import exit_code
from gradient_operator.engine.disruption import deleted, disruption, lost, refused
from gradient_operator.engine.model import (
    ContainerRecord,
    Failure,
    FailureClass,
    JobPhase,
    PodRecord,
    UploadResult,
)
from gradient_operator.exits import ExitCode


@dataclass(frozen=True, slots=True)
class Going:
    """The attempt is under way."""

    phase: JobPhase


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt succeeded; `result` is None when there was nothing to upload."""

    result: UploadResult | None


@dataclass(frozen=True, slots=True)
class Unread:
    """The attempt succeeded, and its result has to be read from object storage."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The attempt failed."""

    failure: Failure


Outcome = Going | Done | Unread | Broken


def judge(pod: PodRecord, result: UploadResult | None) -> Outcome:
    """Judge an attempt; `result` is the decoded message of a helper, or the stored result."""
    main = pod.main
    if main is None or not main.terminated:
        return _before_main_ended(pod, result)
    if main.exit_code != 0:
        return Broken(_main_failed(pod, main, result))
    told = pod.told_to_stop_at
    if told is not None and (main.finished_at or 0) >= told:
        # A main that ends with 0 because it was told to stop has not finished its work.
        return Broken(disruption(pod) or deleted(pod))
    if not pod.has_uploader:
        return Done(None)
    return _upload(pod, main, result)


def _before_main_ended(pod: PodRecord, result: UploadResult | None) -> Outcome:
    fetch = pod.fetch
    if fetch is not None and fetch.terminated and fetch.exit_code != 0:
        return Broken(_helper_failed("fetch", fetch, result))
    if pod.terminal:
        return Broken(disruption(pod) or refused(pod))
    if pod.deleting and not pod.node:
        return Broken(deleted(pod))
    if pod.main is not None and pod.main.running:
        return Going(JobPhase.RUNNING)
    return Going(JobPhase.STARTING)


def _upload(pod: PodRecord, main: ContainerRecord, result: UploadResult | None) -> Outcome:
    uploader = pod.uploader
    if uploader is None or not uploader.terminated:
        if pod.terminal:
            return Broken(disruption(pod) or _upload_failed("the uploader did not run"))
        return Going(JobPhase.UPLOADING)
    if uploader.exit_code != 0:
        return Broken(disruption(pod) or _helper_failed("uploader", uploader, result))
    if (uploader.finished_at or 0) < (main.finished_at or 0):
        # It ended before main did and was not started again: nothing was uploaded after main.
        if pod.terminal:
            return Broken(_upload_failed("the uploader had ended before the job did"))
        return Going(JobPhase.UPLOADING)
    if result is None or result.unreadable:
        said = f": {result.error}" if result is not None and result.error else ""
        return Broken(_upload_failed(f"the uploader's result cannot be read{said}"))
    if result.refused:
        return Broken(Failure(FailureClass.DATA, result.reason, result.error))
    return Unread() if result.truncated else Done(result)


def _main_failed(pod: PodRecord, main: ContainerRecord, result: UploadResult | None) -> Failure:
    disrupted = disruption(pod) or lost(pod, main)
    if disrupted is not None:
        return disrupted
    if pod.has_action and result is not None and result.reason:
        code = main.exit_code or 0
        away = code == ExitCode.STORAGE_UNAVAILABLE
        kind = FailureClass.STORAGE if away else FailureClass.USER
        return Failure(kind, result.reason, result.error, code)
    return exit_code.failure(main)


def _upload_failed(text: str) -> Failure:
    return Failure(FailureClass.UPLOAD, "UploadFailed", text)


def _helper_failed(helper: str, container: ContainerRecord, result: UploadResult | None) -> Failure:
    code = container.exit_code or 0
    what = "fetching its inputs" if helper == "fetch" else "uploading its outputs"
    said = result.error if result is not None and result.error else container.message.strip()
    text = f"{what} failed (exit code {code}){': ' + said if said else ''}"
    kind, reason = _classify(code, uploading=helper == "uploader")
    if result is not None and result.reason:
        reason = result.reason
    if reason == "IdentityRefused":
        kind = FailureClass.IDENTITY
    return Failure(kind, reason, text)


_REASONS: Final = {
    ExitCode.DATA_UNACCEPTABLE: (FailureClass.DATA, "OutputRefused"),
    ExitCode.INPUT_MISSING: (FailureClass.DATA, "InputMissing"),
    ExitCode.INPUT_CORRUPT: (FailureClass.DATA, "InputCorrupt"),
    ExitCode.STORAGE_UNAVAILABLE: (FailureClass.STORAGE, "StorageUnavailable"),
    ExitCode.STORAGE_REFUSED: (FailureClass.STORAGE, "StorageRefused"),
}


def _classify(code: int, *, uploading: bool) -> tuple[FailureClass, str]:
    """The failure class and reason of a helper's exit code; any other code is its own fault."""
    if code in _REASONS:
        return _REASONS[ExitCode(code)]
    if uploading:
        return FailureClass.UPLOAD, "UploadFailed"
    return FailureClass.STORAGE, "FetchFailed"
