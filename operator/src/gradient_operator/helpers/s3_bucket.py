"""A bucket of somebody else's, read with obstore: its errors in the words of `s3-download@v1`.

One call here is one request; trying again is the caller's. Keys that obstore cannot name (a part
that is empty or dotted, control characters) make a listing fail as a whole: nothing is left out in
silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from gradient_operator.datasets.errors import (
    BlobMissingError,
    DatasetError,
    StorageRefusedError,
    StorageUnavailableError,
)
from gradient_operator.datasets.paths import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore import GetOptions

T = TypeVar("T")

CONNECT_SECONDS: Final = 10
REQUEST_SECONDS: Final = 300
"""Longest time for one request: 8 MiB at 230 kbit/s."""
STREAM_BYTES: Final = 1024 * 1024

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_REGION: Final = re.compile(r"<Region>([-a-z0-9]{1,32})</Region>")
_TRANSIENT: Final = frozenset(
    {"IncompleteBody", "InternalError", "OperationAborted", "RequestTimeout", "SlowDown"}
)
_OTHER_REGION: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


class SourceError(DatasetError):
    """The source cannot be copied as it is: url, keys, region or endpoint must change."""

    default_reason = "S3Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A bucket and how to reach it; without keys it is read as the public may."""

    bucket: str
    endpoint: str = ""
    """URL of the server; empty means Amazon's own."""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    def __str__(self) -> str:
        where = self.endpoint or f"the AWS endpoint of {self.region or 'us-east-1'}"
        return f"bucket {self.bucket!r} at {where}"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a listing; `size` in bytes."""

    key: str
    size: int


class Bucket:
    """Reads a bucket; errors are those of `datasets.errors`, safe to use from several threads."""

    def __init__(self, source: Source) -> None:
        """Connect; no request is made yet.

        Raises:
            SourceError: the settings cannot be used.
        """
        self._source = source
        try:
            self._store = S3Store(source.bucket, **_settings(source))
        except (BaseError, ValueError) as error:
            raise SourceError(f"The settings of {source} cannot be used: {_line(error)}.") from None

    def list(self, folder: str, after: str) -> Iterator[Listed]:
        """All objects below a folder ("" for the bucket) whose keys sort behind `after`."""
        pages = self._told(
            lambda: obstore.list(self._store, folder or None, offset=after or None), folder
        )
        while True:
            page = self._told(lambda: next(pages, None), folder)
            if page is None:
                return
            for item in page:
                yield Listed(item["path"], item["size"])

    def head(self, key: str) -> tuple[int, str | None]:
        """Length and ETag of an object.

        Raises:
            BlobMissingError: there is no such object.
        """
        found = self._told(lambda: obstore.head(self._store, key), key)
        return found["size"], found["e_tag"]

    def read(
        self, key: str, *, span: tuple[int, int] | None = None, etag: str | None = None
    ) -> Iterator[memoryview]:
        """An object, or the bytes from the first to before the second number of `span`, in pieces.

        Raises:
            BlobMissingError: there is no such object.
            SourceError: it is no longer the one with this ETag.
        """
        options: GetOptions = {}
        if span is not None:
            options["range"] = span
        if etag is not None:
            options["if_match"] = etag
        found = self._told(lambda: obstore.get(self._store, key, options=options), key)
        pieces = found.stream(min_chunk_size=STREAM_BYTES)
        while True:
            piece = self._told(lambda: next(pieces, None), key)
            if piece is None:
                return
            yield memoryview(piece)

    def _told(self, call: Callable[[], T], key: str) -> T:
        try:
            return call()
        except (BaseError, OSError, ValueError) as error:
            raise translate(error, key=key, source=self._source) from None


def _settings(source: Source) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "region": source.region or "us-east-1",
        # A bucket with a dot in its name has no certificate of its own.
        "virtual_hosted_style_request": not source.endpoint and "." not in source.bucket,
        "client_options": {
            "allow_http": source.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "user_agent": "gradient-operator",
        },
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    }
    if source.endpoint:
        settings["endpoint"] = source.endpoint
    if not source.access_key:
        return settings | {"skip_signature": True}
    settings["access_key_id"] = source.access_key
    settings["secret_access_key"] = source.secret_key
    if source.session_token:
        settings["session_token"] = source.session_token
    return settings


def translate(error: Exception, *, key: str, source: Source) -> DatasetError:
    """Turn an error of obstore into a sentence that names the parameter to change."""
    text = str(error)
    if isinstance(error, PreconditionError):
        return SourceError(
            f"The object {display(key.encode())} of {source} was changed while it was copied: "
            "run the job again when nobody writes there.",
            reason="S3Changed",
        )
    if isinstance(error, InvalidPathError | ValueError) and not isinstance(error, OSError):
        return SourceError(
            f"{source} holds a key that no file can have: {_line(error)}. Rename that object, or "
            "name a folder without it in url.",
            reason="S3KeyUnusable",
        )
    code = _first(_CODE, text)
    status = int(_first(_STATUS, text) or 0)
    refused = _refused(text, code=code, status=status, source=source)
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError)
    if refused is None and (denied or status in {401, 403}):
        refused = _denied(source)
    if refused is not None:
        return StorageRefusedError(f"{source} refused to show {display(key.encode())}: {refused}.")
    if isinstance(error, FileNotFoundError) or status == 404:  # noqa: PLR2004
        return BlobMissingError(f"There is no object {display(key.encode())} in {source}.")
    if 300 <= status < 500 and status not in {408, 429} and code not in _TRANSIENT:  # noqa: PLR2004
        return StorageRefusedError(
            f"{source} refused the request: {_line(error)}. Correct endpoint and region."
        )
    return StorageUnavailableError(
        f"{source} did not answer: {_line(error)}. Correct endpoint, or see to it that it can be "
        "reached from here.",
        reason="S3Unreachable",
    )


def _refused(text: str, *, code: str, status: int, source: Source) -> str | None:
    """What to do about an answer that names its reason, or None."""
    if code == "NoSuchBucket":
        return "there is no such bucket: correct url or endpoint"
    if code == "InvalidAccessKeyId":
        return "it does not know the access key: correct access-key"
    if code == "SignatureDoesNotMatch":
        return "the secret key does not belong to the access key: correct secret-access-key"
    if code in {"ExpiredToken", "InvalidToken"}:
        return "the session token is not valid any more: renew it"
    if code == "RequestTimeTooSkewed":
        return "the clock of this node is wrong: synchronise it"
    if code in _OTHER_REGION or status in {301, 307} or "redirect without LOCATION" in text:
        region = _first(_REGION, text)
        return f"it lives in another region: set region{f' to {region}' if region else ''}"
    return _denied(source) if code == "AccessDenied" else None


def _denied(source: Source) -> str:
    if not source.access_key:
        return "it is not public: set access-key and secret-access-key"
    return "these keys may not list or read it: ask its owner for that, or use other keys"


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1) if found else ""


def _line(error: Exception) -> str:
    """The first line of an error, without what a server sent along and with its code."""
    line = str(error).partition("\n")[0]
    head, marker, _ = line.partition("<?xml")
    code = _first(_CODE, line) if marker else ""
    return (head.rstrip(": ") + (f": {code}" if code else ""))[:300].rstrip(".")
