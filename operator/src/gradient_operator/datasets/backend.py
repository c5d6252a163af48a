"""The few calls that a store needs, made with obstore, and its errors put into sentences.

One call here is one request: retrying, and the rules about what exists already, are `store.py`'s.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from gradient_operator.datasets.errors import (
    BlobMissingError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradient_operator.datasets.credentials import Credentials
    from gradient_operator.datasets.location import StorageLocation
    from gradient_operator.datasets.web_identity import WebIdentityKeys

Data = bytes | bytearray | memoryview
T = TypeVar("T")

CONNECT_SECONDS: Final = 5
REQUEST_SECONDS: Final = 120
"""Longest time for one request: a 16 MiB segment at 1.2 Mbit/s just fits."""

_PART: Final = 16 * 1024 * 1024
"""Bytes of a part: 10,000 of them may make an object."""
_PIECE: Final = 32 * 1024
"""What is hashed and written at once: it is still in the processor's cache then."""
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"(?:<Code>|\(code: )(\w{1,64})(?:</Code>|\))")
"""As an answer has it, or as obstore tells of one object among many."""
_TRANSIENT: Final = {
    "BadDigest",
    "IncompleteBody",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentChecksumMismatch",
}
NO_BUCKET: Final = "NoSuchBucket"
_REMEDIES: Final = {
    "InvalidAccessKeyId": "the server does not know the access key: correct accessKeyId",
    "SignatureDoesNotMatch": "the secret key is wrong: correct secretAccessKey",
    "RequestTimeTooSkewed": "the clock of this node is wrong: synchronise it",
    "ExpiredToken": "the session token has expired: renew it",
    "InvalidToken": "the session token is not valid: renew it",
    NO_BUCKET: "the bucket does not exist: create it or correct the bucket's name",
    "InvalidBucketName": "the bucket's name is not valid: correct it",
    "PermanentRedirect": "the bucket lives in another region: correct region or endpoint",
    "AuthorizationHeaderMalformed": "the region is wrong: correct it",
}


class BlobExistsError(Exception):
    """A conditional write met an object, or another writer of the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """One object of a listing; `size` in bytes."""

    key: str
    size: int
    modified: datetime


class Backend(Protocol):
    """What a store needs. Errors are those of `errors.StorageError`."""

    def put(self, key: str, data: Data, *, create: bool) -> None:
        """Write an object; with `create` only if there is none, else `BlobExistsError`."""

    def get(self, key: str, span: tuple[int, int] | None = None) -> memoryview:
        """Read an object, or the bytes from the first to before the second number of `span`."""

    def stream(self, key: str, start: int = 0) -> Iterator[Data]:
        """Read an object from byte `start` on, in pieces of some 32 KiB."""

    def size(self, key: str) -> int | None:
        """Length of an object in bytes, or None if there is none."""

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """All objects below a folder."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects; one that is not there is no error."""


class ObstoreBackend:
    """Backend over any store of obstore."""

    def __init__(self, store: Any, place: str, identity: WebIdentityKeys | None = None) -> None:
        self._store = store
        self._place = place
        self._identity = identity

    def renew(self) -> None:
        """Get new keys now, where a token service gives them; else nothing.

        Raises:
            StorageRefusedError: the service does not accept us.
            StorageUnavailableError: it does not answer.
        """
        if self._identity is not None:
            self._identity.renew()

    def put(self, key: str, data: Data, *, create: bool) -> None:
        """See `Backend.put`."""
        mode: Any = "create" if create else "overwrite"

        def call() -> None:
            obstore.put(self._store, key, data, mode=mode, use_multipart=False)

        self._translated(call, key)

    def write(self, key: str, pieces: Iterator[memoryview]) -> None:
        """Write an object of any length in parts, replacing one that is there."""
        self._translated(lambda: obstore.put(self._store, key, pieces, chunk_size=_PART), key)

    def get(self, key: str, span: tuple[int, int] | None = None) -> memoryview:
        """See `Backend.get`."""

        def call() -> memoryview:
            if span is None:
                return memoryview(obstore.get(self._store, key).bytes())
            return memoryview(obstore.get_range(self._store, key, start=span[0], end=span[1]))

        return self._translated(call, key)

    def stream(self, key: str, start: int = 0) -> Iterator[Data]:
        """See `Backend.stream`."""
        options: Any = {"range": {"offset": start}} if start else None
        pieces = self._translated(
            lambda: obstore.get(self._store, key, options=options).stream(min_chunk_size=_PIECE),
            key,
        )
        while True:
            piece = self._translated(lambda: next(pieces, None), key)
            if piece is None:
                return
            yield memoryview(piece)

    def size(self, key: str) -> int | None:
        """See `Backend.size`."""
        try:
            return self._translated(lambda: obstore.head(self._store, key)["size"], key)
        except BlobMissingError:
            return None

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        """See `Backend.list`."""
        pages = self._translated(lambda: obstore.list(self._store, prefix), prefix)
        while True:
            page = self._translated(lambda: next(pages, None), prefix)
            if page is None:
                return
            for item in page:
                yield BlobInfo(key=item["path"], size=item["size"], modified=item["last_modified"])

    def delete(self, keys: Sequence[str]) -> None:
        """See `Backend.delete`."""
        if len(keys) > 1:
            try:
                self._translated(lambda: obstore.delete(self._store, list(keys)), keys[0])
            except BlobMissingError:  # stores in memory and folders stop at the first
                for key in keys:
                    self.delete([key])
            return
        for key in keys:
            with suppress(BlobMissingError):
                self._translated(partial(obstore.delete, self._store, key), key)

    def _translated(self, call: Callable[[], T], key: str) -> T:
        try:
            return call()
        except AlreadyExistsError as error:
            raise BlobExistsError(key) from error
        except (BaseError, OSError) as error:
            refusal = self._identity.failure if self._identity is not None else None
            raise refusal or translate(error, key=key, place=self._place) from error


def open_backend(location: StorageLocation, credentials: Credentials | None) -> ObstoreBackend:
    """Connect to a location; no request is made yet. `file://` needs no credentials.

    Raises:
        StorageRefusedError: the settings cannot be used.
    """
    if location.is_local:
        folder = Path(unquote(urlsplit(location.endpoint).path))
        return ObstoreBackend(LocalStore(folder, mkdir=True), str(location))
    if credentials is None:
        raise StorageRefusedError(f"No credentials were given for {location}.")
    identity = _identity(credentials)
    settings = _s3_settings(location, credentials)
    if identity is not None:
        settings["credential_provider"] = identity
    try:
        store = S3Store(location.bucket, **settings)
    except (BaseError, ValueError) as error:
        raise StorageRefusedError(
            f"The settings of {location} cannot be used: {_first_line(error)}."
        ) from error
    return ObstoreBackend(store, str(location), identity)


def _identity(credentials: Credentials) -> WebIdentityKeys | None:
    if credentials.identity is None:
        return None
    # Most have keys, and the programs that move data start often: this brings an HTTP client along.
    from gradient_operator.datasets.web_identity import WebIdentityKeys  # noqa: PLC0415

    return WebIdentityKeys(credentials.identity, ca_certificate=credentials.ca_certificate)


def _s3_settings(location: StorageLocation, credentials: Credentials) -> dict[str, Any]:
    client: dict[str, Any] = {
        "allow_http": location.allow_http,
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
        "user_agent": "gradient-operator",
    }
    if credentials.ca_certificate:
        client["root_certificate"] = credentials.ca_certificate
    settings: dict[str, Any] = {
        "region": location.region or "us-east-1",
        "checksum_algorithm": "SHA256",
        "virtual_hosted_style_request": not location.path_style,
        "client_options": client,
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    }
    if location.endpoint:
        settings["endpoint"] = _endpoint(location)
    if credentials.access_key_id:
        settings["access_key_id"] = credentials.access_key_id
        settings["secret_access_key"] = credentials.secret_access_key
    if credentials.session_token:
        settings["session_token"] = credentials.session_token
    return settings


def _endpoint(location: StorageLocation) -> str:
    if location.path_style:
        return location.endpoint.rstrip("/")
    parts = urlsplit(location.endpoint)
    return f"{parts.scheme}://{location.bucket}.{parts.netloc}{parts.path}".rstrip("/")


def translate(error: Exception, *, key: str, place: str) -> StorageError:
    """Turn an error of obstore into one of ours; its text keeps neither headers nor credentials."""
    text = str(error)
    found = _STATUS.search(text)
    status = int(found.group(1)) if found else 0
    named = _CODE.search(text)
    code = named.group(1) if named else ""
    if code in _REMEDIES:
        text = f"The storage refused {key} in {place}: {_REMEDIES[code]}."
        return StorageRefusedError(text, reason="BucketMissing" if code == NO_BUCKET else None)
    if isinstance(error, FileNotFoundError) or status == 404:  # noqa: PLR2004
        return BlobMissingError(f"The object {key} does not exist in {place}.")
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError)
    if denied or status in {401, 403} or code == "AccessDenied":
        return StorageRefusedError(
            f"The storage refused {key} in {place}{f' ({code})' if code else ''}: the credentials "
            "lack the permission, or belong to another bucket."
        )
    if _is_refusal(text, status=status, code=code):
        return StorageRefusedError(
            f"The storage refused {key} in {place}: {_first_line(error)}. "
            "Check endpoint, region and TLS settings."
        )
    return StorageUnavailableError(
        f"The storage did not answer for {key} in {place}: {_first_line(error)}. "
        "Check that the server runs and can be reached from here."
    )


def _is_refusal(text: str, *, status: int, code: str) -> bool:
    if "BadScheme" in text or "UnknownIssuer" in text or "invalid peer certificate" in text:
        return True
    return (300 <= status < 500) and status not in {408, 429} and code not in _TRANSIENT  # noqa: PLR2004


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0]
    head, marker, _ = line.partition("<?xml")
    named = _CODE.search(line)
    detail = f" {named.group(1)}" if marker and named else ""
    return (head.rstrip(": ") + detail)[:300].rstrip(".")
