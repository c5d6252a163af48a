"""Copies the objects below a prefix into an output: what the action `s3-download@v1` runs.

`s3://bucket/folder/` copies what lies below the folder, `s3://bucket/key` that object, or the
folder of that name where there is no such object. Several objects, and parts of a large one, travel
at once; memory holds a few pieces of each and no list of keys.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from gradient_operator.datasets.errors import BlobMissingError, StorageUnavailableError
from gradient_operator.datasets.paths import display, path_problem
from gradient_operator.datasets.pool import Cancellation, TransferPool
from gradient_operator.datasets.progress import Progress, ProgressMeter
from gradient_operator.datasets.store import RetryPolicy
from gradient_operator.helpers import environment
from gradient_operator.helpers.environment import SettingsError, expand
from gradient_operator.helpers.running import end_on_sigterm, run
from gradient_operator.helpers.s3_bucket import Bucket, Listed, Source, SourceError
from gradient_operator.helpers.s3_target import PartFile, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gradient_operator.exits import ExitCode

T = TypeVar("T")
_log = logging.getLogger(__name__)

REQUESTS: Final = 8
"""Objects and parts under way if nobody says: most objects are small and wait for the network."""
PART_BYTES: Final = 8 * 1024 * 1024
"""What one request brings of a large object."""
_BUCKET: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,254}")
_ENDPOINT: Final = re.compile(r"https?://[-A-Za-z0-9._:\[\]]+(/[-A-Za-z0-9._~%/]*)?")
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What to copy, and where to."""

    source: Source
    key: str
    """Without slashes at its ends; empty for the whole bucket."""
    is_folder: bool
    path: str

    def __str__(self) -> str:
        return f"s3://{self.source.bucket}/{self.key}{'/' if self.key and self.is_folder else ''}"


def main() -> ExitCode:
    """Copy what the environment names."""
    end_on_sigterm()
    return run(lambda: download(read_download(os.environ)))


def read_download(variables: Mapping[str, str]) -> Download:
    """Read the task from environment variables, with `$NAME` and `${NAME}` in them replaced.

    Keys may also be given as AWS's own programs take them, in AWS_ACCESS_KEY_ID and its like.

    Raises:
        SettingsError: a variable is missing or unusable.
    """
    path = variables.get("GRADIENT_S3_PATH", "")
    if not path.startswith("/"):
        raise SettingsError("GRADIENT_S3_PATH must be set, to an absolute path.")
    url = expand(variables.get("GRADIENT_S3_URL", ""), variables)
    scheme, marker, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not marker or not _BUCKET.fullmatch(bucket):
        raise SettingsError(f"The url {url!r} does not name a bucket: write s3://bucket/folder/.")
    is_folder = not key or key.endswith("/")
    key = key.strip("/")
    if key and path_problem(key.encode(errors="surrogateescape")):
        raise SettingsError(f"The url {url!r} has an empty or dotted part: correct it.")
    return Download(
        source=Source(
            bucket=bucket,
            endpoint=_endpoint(expand(variables.get("GRADIENT_S3_ENDPOINT", ""), variables)),
            region=expand(variables.get("GRADIENT_S3_REGION", ""), variables),
            **_keys(variables),
        ),
        key=key,
        is_folder=is_folder,
        path=path,
    )


def _endpoint(text: str) -> str:
    """A server's URL; without a scheme it has TLS."""
    if not text:
        return ""
    url = text if "://" in text else f"https://{text}"
    if "@" in url:
        raise SettingsError(
            "The endpoint holds keys: put them into access-key and secret-access-key."
        )
    if not _ENDPOINT.fullmatch(url):
        raise SettingsError(f"The endpoint {text!r} is no URL: write https://host or http://host.")
    return url.rstrip("/")


def _keys(variables: Mapping[str, str]) -> dict[str, str]:
    given = {
        "access_key": variables.get("GRADIENT_S3_ACCESS_KEY", "").strip(),
        "secret_key": variables.get("GRADIENT_S3_SECRET_KEY", "").strip(),
    }
    if not any(given.values()):
        given = {
            "access_key": variables.get("AWS_ACCESS_KEY_ID", "").strip(),
            "secret_key": variables.get("AWS_SECRET_ACCESS_KEY", "").strip(),
            "session_token": variables.get("AWS_SESSION_TOKEN", "").strip(),
        }
    if bool(given["access_key"]) is not bool(given["secret_key"]):
        empty = "secret-access-key" if given["access_key"] else "access-key"
        raise SettingsError(f"The {empty} is empty: correct the Secret that it comes from.")
    return given


def download(task: Download, *, part_bytes: int = PART_BYTES) -> None:
    """Copy everything, and say how much it was.

    Raises:
        SourceError: url, keys, region or endpoint are wrong, or there is nothing to copy.
        StorageUnavailableError: the server cannot be reached, for longer than is worth waiting.
        LocalDiskError: the files cannot be written.
    """
    os.umask(0)
    _say(f"Downloading {task} to '{task.path}'...")
    meter = ProgressMeter(lambda progress: _say(f"{_amount(progress)} so far"))
    copy_objects(task, meter, part_bytes=part_bytes)
    _say(f"Downloaded {_amount(meter.value)}")


def copy_objects(task: Download, meter: ProgressMeter, *, part_bytes: int = PART_BYTES) -> None:
    """Copy everything; the meter is told how far it is. Errors are those of `download`."""
    retry = RetryPolicy(elapsed=environment.number("GRADIENT_RETRY_SECONDS", 300.0))
    with Target(task.path) as target:
        copy = _Copy(Bucket(task.source), target, meter, retry=retry, part_bytes=part_bytes)
        copy.run(task)
    if not copy.seen:
        raise SourceError(
            f"There is nothing at {task} in {task.source}: correct url.", reason="S3Empty"
        )


class _Copy:
    """One download under way: what its threads share."""

    def __init__(
        self,
        bucket: Bucket,
        target: Target,
        meter: ProgressMeter,
        *,
        retry: RetryPolicy,
        part_bytes: int,
    ) -> None:
        self._bucket = bucket
        self._target = target
        self._meter = meter
        self._retry = retry
        self._part_bytes = part_bytes
        self._cancellation = Cancellation()
        self.seen = 0

    def run(self, task: Download) -> None:
        """Copy the object, or everything below the folder."""
        with TransferPool(environment.concurrency(REQUESTS)) as pool:
            try:
                single = None if task.is_folder else self._single(task.key)
                for item in [single] if single is not None else self._below(task.key):
                    self.seen += 1
                    root = task.key.rpartition("/")[0] if item is single else task.key
                    self._submit(pool, item, item.key.removeprefix(root).lstrip("/"))
                pool.drain()
            except BaseException as error:
                if isinstance(error, Exception):
                    self._cancellation.cancel(error)
                raise

    def _single(self, key: str) -> Listed | None:
        try:
            size, _ = self._again(lambda: self._bucket.head(key))
        except BlobMissingError:
            return None
        return Listed(key, size)

    def _below(self, folder: str) -> Iterator[Listed]:
        """The listing; after trouble it goes on behind the last key that was seen."""
        last = ""
        listing = self._bucket.list(folder, last)
        while True:
            try:
                item = next(listing, None)
            except StorageUnavailableError:
                self._again(partial(self._reachable, folder, last))
                listing = self._bucket.list(folder, last)
                continue
            if item is None:
                return
            last = item.key
            # A marker of the folder itself: it lists as the folder's name.
            if item.key != folder:
                yield item

    def _reachable(self, folder: str, last: str) -> None:
        next(self._bucket.list(folder, last), None)

    def _submit(self, pool: TransferPool, item: Listed, name: str) -> None:
        path = name.encode(errors="surrogateescape")
        problem = path_problem(path)
        if problem:
            raise SourceError(
                f"The key {display(item.key.encode())} {problem}: no file can have that name. "
                "Rename the object.",
                reason="S3KeyUnusable",
            )
        if item.size > self._part_bytes:
            self._submit_parts(pool, item, path)
        elif item.size == 0:
            pool.submit(self._stopping(lambda: self._empty(item.key, path)))
        else:
            pool.submit(self._stopping(lambda: self._whole(item.key, path)))

    def _stopping(self, task: Callable[[], None]) -> Callable[[], None]:
        """The task; its failure wakes the others, which may be waiting to try again."""

        def guarded() -> None:
            try:
                task()
            except Exception as error:
                self._cancellation.cancel(error)
                raise

        return guarded

    def _empty(self, key: str, path: bytes) -> None:
        """An empty object is a file, or the marker of a folder: that one cannot be asked for."""
        try:
            self._again(lambda: self._bucket.head(key))
        except BlobMissingError:
            self._target.make_directory(path)
            return
        self._target.make_file(path).close()
        self._meter.add(files=1)

    def _whole(self, key: str, path: bytes) -> None:
        with self._target.make_file(path) as file:

            def attempt() -> int:
                size = 0
                for piece in self._bucket.read(key):
                    self._cancellation.check()
                    size += file.write_at(size, piece)
                file.truncate(size)
                return size

            size = self._again(attempt)
        self._meter.add(files=1, size=size)

    def _submit_parts(self, pool: TransferPool, item: Listed, path: bytes) -> None:
        size, etag = self._again(lambda: self._bucket.head(item.key))
        with self._target.make_file(path) as file:
            file.truncate(size)
            for start in range(0, size, self._part_bytes):
                span = (start, min(start + self._part_bytes, size))
                task = partial(self._part, item.key, etag, span, file.share())
                pool.submit(self._stopping(task))
        self._meter.add(files=1)

    def _part(self, key: str, etag: str | None, span: tuple[int, int], file: PartFile) -> None:
        begin, end = span

        def attempt() -> None:
            at = begin
            for piece in self._bucket.read(key, span=span, etag=etag):
                self._cancellation.check()
                at += file.write_at(at, piece)
            if at != end:
                raise StorageUnavailableError(
                    f"The object {display(key.encode())} ended early, at byte {at} of {end}."
                )

        with file:
            self._again(attempt)
        self._meter.add(size=end - begin)

    def _again(self, operation: Callable[[], T]) -> T:
        """Run it, and again while the server is in trouble."""
        started = time.monotonic()
        attempt = 0
        while True:
            self._cancellation.check()
            try:
                return operation()
            except StorageUnavailableError as error:
                delay = self._retry.delay(attempt)
                if time.monotonic() + delay - started > self._retry.elapsed:
                    raise
                _log.warning("%s Trying again in %.1f s.", error, delay)
            self._cancellation.pause(delay)
            attempt += 1


def _amount(progress: Progress) -> str:
    size, unit = float(progress.bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:  # noqa: PLR2004
        size, unit = size / 1024, unit + 1
    shown = f"{size:.0f}" if unit == 0 else f"{size:.1f}"
    return f"{progress.files} files, {shown} {_UNITS[unit]}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
