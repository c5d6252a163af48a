"""Puts the inputs of a job into place before it starts: an init container.

It may run twice over the same directories: it checks and keeps what the first time left.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gradient_operator.datasets import progress_log
from gradient_operator.datasets.blob_cache import BlobCache, CacheCounts
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.errors import BlobMissingError
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.pool import CONCURRENCY
from gradient_operator.datasets.progress import Progress, ProgressMeter
from gradient_operator.datasets.report import TransferReport, encode_report
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.result import read_result
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from gradient_operator.datasets.tree import disk_errors, open_target
from gradient_operator.helpers import environment
from gradient_operator.helpers.environment import FetchItem, SettingsError
from gradient_operator.helpers.running import run, write_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradient_operator.exits import ExitCode

_log = logging.getLogger(__name__)


def main() -> ExitCode:
    """Fetch everything that `GRADIENT_FETCH` lists."""
    return run(_fetch_all)


def open_storage(*, retry: RetryPolicy) -> BlobStore:
    """Connect to the storage that `GRADIENT_STORAGE` names.

    Raises:
        SettingsError: the variable is missing or unusable.
        StorageRefusedError: the credentials are missing or the settings unusable.
    """
    try:
        location = StorageLocation.from_json(environment.required("GRADIENT_STORAGE"))
    except ValueError as error:
        raise SettingsError(f"GRADIENT_STORAGE cannot be used: {error}.") from None
    credentials = None
    if not location.is_local:
        credentials = read_credentials(environment.credentials_directory())
    return BlobStore.open(location, credentials, retry=retry)


def report(message: str, path: str, progress: Progress) -> None:
    """Log how far a transfer is; others read these lines (`datasets/progress_log.py`)."""
    _log.info(message, extra={"fields": progress_log.fields(path, progress)})


def _fetch_all() -> None:
    items = environment.fetch_items(environment.required("GRADIENT_FETCH"))
    retry = RetryPolicy(elapsed=environment.number("GRADIENT_RETRY_SECONDS", 300.0))
    store = open_storage(retry=retry)
    place = environment.blob_cache()
    cache = BlobCache(place[0], limit=place[1]) if place is not None else None
    done = []
    for item in items:
        if item.digest is not None:
            done.append(_fetch_version(store, item, item.digest, cache))
        elif item.reference is not None and item.string is not None:
            _fetch_string(store, item.path, reference=item.reference, name=item.string)
        else:
            with open_target(item.path, writable=item.writable, keep=True) as folder:
                folder.prune(())
    write_message(encode_report(sum_up(done, cache)))


def sum_up(done: Sequence[Progress], cache: BlobCache | None = None) -> TransferReport:
    """All transfers of a helper together."""
    counts = cache.counts if cache is not None else CacheCounts()
    return TransferReport(
        files=sum(progress.files for progress in done),
        bytes=sum(progress.bytes for progress in done),
        seconds=sum(progress.seconds for progress in done),
        cache_hits=counts.hits,
        cache_misses=counts.misses,
        cache_bytes=counts.bytes,
    )


def _fetch_version(
    store: BlobStore, item: FetchItem, digest: str, cache: BlobCache | None
) -> Progress:
    meter = ProgressMeter(partial(report, progress_log.FETCHING, item.path), total=item.total)
    restore(
        store,
        digest,
        item.path,
        writable=item.writable,
        replace=True,
        concurrency=environment.concurrency(CONCURRENCY),
        progress=meter,
        cache=cache,
    )
    report(progress_log.FETCHED, item.path, meter.value)
    return meter.value


def _fetch_string(store: BlobStore, path: str, *, reference: str, name: str) -> None:
    value = read_result(store, reference).strings.get(name)
    if value is None:
        raise BlobMissingError(
            f"The result {reference} holds no string {name!r}: the job that should have written "
            "it did not.",
            reason="StringMissing",
        )
    target = Path(path)
    with disk_errors(os.fsencode(path)):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(value.encode())
        target.chmod(0o644)
