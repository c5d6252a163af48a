"""What a request to the API server can end in, as exceptions that callers can tell apart.

One class per decision that a caller has to take; the words come from the server's own `Status`
object. Nothing here knows how a request was made.
"""

import json
from typing import Any, ClassVar, Final

_MAX_MESSAGE: Final = 2_048
"""Characters of an answer that is no `Status` object (a proxy's page) that are worth repeating."""


class KubeError(Exception):
    """The API server refused a request, or could not be asked.

    Attributes:
        status: The HTTP status code; 0 when no answer came.
        reason: The machine-readable word of the `Status` object, as `NotFound`; may be empty.
        message: The server's sentence.
        retry_after: Seconds that the server asked to wait, if it did.
        retryable: Whether the very same request may succeed later.
    """

    default_status: ClassVar[int] = 0
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.default_status if status is None else status
        self.reason = reason or type(self).__name__
        self.retry_after = retry_after
        self.retryable = self.default_retryable
        self.details: dict[str, Any] = details or {}

    def __str__(self) -> str:
        return f"{self.message} ({self.status} {self.reason})" if self.status else self.message


class NotFound(KubeError):
    """404: no such object, or no such kind on this server."""

    default_status = 404


class AlreadyExists(KubeError):
    """409 on a create: an object of that name is there."""

    default_status = 409


class Conflict(KubeError):
    """409 otherwise: the object is not the one that the request was made for; read it again."""

    default_status = 409


class Gone(KubeError):
    """410: the resource version is too old to go on from; list again."""

    default_status = 410


class Forbidden(KubeError):
    """401 or 403: the credentials do not permit it, or a quota or policy refuses it."""

    default_status = 403


class Invalid(KubeError):
    """400 or 422: the object or the request is wrong; `details` names the fields."""

    default_status = 422


class TooManyRequests(KubeError):
    """429: the server asks for patience; `retry_after` says how much."""

    default_status = 429
    default_retryable = True


class ServerError(KubeError):
    """5xx: the server failed; whether the request took effect is unknown."""

    default_status = 500
    default_retryable = True


class Unreachable(KubeError):
    """No answer: refused, reset, cut, or silent for too long.

    Attributes:
        sent: Whether the request may have reached the server (False: surely not).
    """

    default_retryable = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


_BY_STATUS: Final[dict[int, type[KubeError]]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def error_of_status(status: dict[str, Any], *, retry_after: float | None = None) -> KubeError:
    """Turn a `Status` object, from an answer or from within a watch, into the error it means."""
    code = int(status.get("code") or 500)
    reason = str(status.get("reason") or "")
    details = status.get("details") or {}
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    made = Conflict if _names_another_uid(details) else _class_of(code, reason)
    return made(
        str(status.get("message") or reason or f"the API server answered {code}"),
        status=code,
        reason=reason,
        retry_after=retry_after,
        details=details,
    )


def error_of_answer(code: int, body: bytes, *, retry_after: float | None = None) -> KubeError:
    """Turn an answer with status `code` into the error it means, whoever wrote its body."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body[:_MAX_MESSAGE].decode(errors="replace").strip()
        status = {"message": text or f"the API server answered {code} without a word"}
    return error_of_status({**status, "code": code}, retry_after=retry_after)


def _names_another_uid(details: dict[str, Any]) -> bool:
    """Whether the request was made for another object of that name: a patch of it is invalid."""
    return any(cause.get("field") == "metadata.uid" for cause in details.get("causes") or ())


def _class_of(code: int, reason: str) -> type[KubeError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason == "Expired":
        return Gone
    if code in _BY_STATUS:
        return _BY_STATUS[code]
    return ServerError if code >= 500 else KubeError  # noqa: PLR2004 - HTTP's own boundary
