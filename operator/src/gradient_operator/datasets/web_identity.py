"""Trades a web identity token for keys of the storage, as AWS's STS and servers like it do.

A projected service account token is a file that the kubelet renews while its Pod runs, and no
longer once the Pod is being ended (kubernetes#116481): an upload begins just then. So the uploader
trades the token at SIGTERM, for keys that last as long as the role allows; see `renew`.

The request is `AssumeRoleWithWebIdentity` (AWS STS API, version 2011-06-15); it is not signed.
"""

from __future__ import annotations

import html
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.errors import (
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from obstore.store import S3Credential

    from gradient_operator.datasets.credentials import WebIdentity

DURATIONS: Final = (43_200, 28_800, 14_400, 7_200, 3_600)
"""Seconds that are asked for, longest first: a role may allow from one hour to twelve."""
RENEW_BEFORE: Final = timedelta(minutes=10)
"""Keys that end sooner are traded anew, while the token still works."""
REQUEST_SECONDS: Final = 20.0
_LARGEST_ANSWER: Final = 64 * 1024
_LONGEST_TOKEN: Final = 64 * 1024
_SERVER_ERROR: Final = 500
_TROUBLE: Final = {"IDPCommunicationError", "Throttling"}
_NO_KEYS: Final = "retrieve verification key"
"""Of an InvalidIdentityToken whose issuer Amazon's service could not ask: it passes."""
_EXPIRED: Final = {"ExpiredToken", "ExpiredTokenException"}


class WebIdentityKeys:
    """The keys of an identity, renewed when they are about to end. Safe to use from threads.

    obstore calls it before a request when it has no keys or they have ended.
    """

    def __init__(self, identity: WebIdentity, *, ca_certificate: str | None = None) -> None:
        self._identity = identity
        self._tls = ssl.create_default_context(cadata=ca_certificate) if ca_certificate else None
        self._lock = threading.Lock()
        self._keys: S3Credential | None = None
        self._longest = 0
        self.failure: StorageError | None = None
        """Why the last trade failed: obstore keeps only the text of our errors."""

    def __call__(self) -> S3Credential:
        """Keys that are good for a while yet.

        Raises:
            StorageRefusedError: the service does not accept the token or the role.
            StorageUnavailableError: it does not answer.
        """
        with self._lock:
            ends = self._keys["expires_at"] if self._keys is not None else None
            if self._keys is None or (ends is not None and ends - _now() < RENEW_BEFORE):
                self._keys = self._trade()
            return self._keys

    def renew(self) -> None:
        """Trade the token now, whatever keys there are: later it may have ended.

        Raises:
            StorageRefusedError: the service does not accept the token or the role.
            StorageUnavailableError: it does not answer.
        """
        with self._lock:
            self._keys = self._trade()

    def _trade(self) -> S3Credential:
        self.failure = None
        try:
            while True:
                try:
                    return self._ask(DURATIONS[self._longest])
                except _TooLong:
                    self._longest += 1
        except StorageError as error:
            self.failure = error
            raise

    def _ask(self, seconds: int) -> S3Credential:
        identity = self._identity
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": identity.role,
            "RoleSessionName": re.sub(r"[^\w+=,.@-]", "-", identity.session)[:64],
            "WebIdentityToken": _token(identity.token_file),
            "DurationSeconds": str(seconds),
        }
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked where it is set
            identity.endpoint,
            data=urllib.parse.urlencode(form).encode(),
            headers={"Accept": "application/xml", "User-Agent": "gradient-operator"},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=REQUEST_SECONDS, context=self._tls
            ) as answer:
                return _keys(answer.read(_LARGEST_ANSWER).decode(errors="replace"), identity)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, shorter=seconds > DURATIONS[-1]) from None
        except (OSError, ValueError) as error:
            raise StorageUnavailableError(
                f"The token service {identity.endpoint} does not answer: {error}."
            ) from None

    def _refusal(self, error: urllib.error.HTTPError, *, shorter: bool) -> Exception:
        text = error.read(_LARGEST_ANSWER).decode(errors="replace")
        code, message = _field("Code", text), _field("Message", text)
        if code == "ValidationError" and "DurationSeconds" in message and shorter:
            return _TooLong()
        place = f"{self._identity.endpoint} for role {self._identity.role}"
        told = f"{code or error.code}{f': {message[:200]}' if message else ''}".rstrip(".")
        if error.code >= _SERVER_ERROR or code in _TROUBLE or _NO_KEYS in message:
            return StorageUnavailableError(f"The token service {place} is in trouble ({told}).")
        if code in _EXPIRED:
            return StorageRefusedError(
                f"The token service {place} says that the token in {self._identity.token_file} has "
                f"ended ({told}): synchronise the clocks of node and service, and let the role's "
                "sessions last as long as an upload may.",
                reason="IdentityExpired",
            )
        return StorageRefusedError(
            f"The token service {place} refused the identity ({told}): the role must trust this "
            "cluster's issuer, the service account and the audience of the token.",
            reason="IdentityRefused",
        )


class _TooLong(Exception):
    """The role allows shorter sessions only."""


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_TOKEN).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageRefusedError(
            f"The web identity token {path} cannot be read: {error}.",
            reason="CredentialsUnreadable",
        ) from None


def _keys(text: str, identity: WebIdentity) -> S3Credential:
    found = {
        name: _field(name, text)
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    }
    if not found["AccessKeyId"] or not found["SecretAccessKey"]:
        raise StorageRefusedError(
            f"What answers at {identity.endpoint} is no token service: correct the address.",
            reason="IdentityRefused",
        )
    try:
        ends = datetime.fromisoformat(found["Expiration"]).astimezone(UTC)
    except ValueError:
        ends = _now() + timedelta(seconds=DURATIONS[-1])
    return {
        "access_key_id": found["AccessKeyId"],
        "secret_access_key": found["SecretAccessKey"],
        "token": found["SessionToken"] or None,
        "expires_at": ends,
    }


def _field(name: str, text: str) -> str:
    """The text of an element; the answers of token services are flat enough for that."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return html.unescape(found.group(1)).strip() if found else ""


def _now() -> datetime:
    return datetime.now(UTC)
