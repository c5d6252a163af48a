"""Reads the keys of the object storage from a mounted Secret, or who we are to a token service.

Keys of Pods come from files only: values in the environment or in arguments show up in Pod specs,
process lists and crash reports. The files are read at every call, so a rotated Secret takes effect.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.errors import StorageRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DIRECTORY: Final = Path("/var/run/gradient/storage")
TOKEN_FILE: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 - the name of a variable
ROLE: Final = "AWS_ROLE_ARN"
SESSION: Final = "AWS_ROLE_SESSION_NAME"
ENDPOINT: Final = "AWS_ENDPOINT_URL_STS"
"""Variables, as AWS's own programs and the webhooks of its clusters name them."""


_LONGEST: Final = 64 * 1024
_AMBIENT: Final = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebIdentity:
    """Who we are: a token in a file, and the role that it opens."""

    role: str
    token_file: Path
    endpoint: str
    """URL of the token service."""
    session: str = "gradient"
    """How the service's log calls us."""

    @classmethod
    def of_environment(cls, variables: Mapping[str, str] = os.environ) -> WebIdentity | None:
        """As the variables of AWS say it; None if they do not."""
        role, token = variables.get(ROLE), variables.get(TOKEN_FILE)
        if not role or not token:
            return None
        region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or "us-east-1"
        return cls(
            role=role,
            token_file=Path(token),
            endpoint=variables.get(ENDPOINT) or f"https://sts.{region}.amazonaws.com",
            session=variables.get(SESSION) or "gradient",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys for one bucket; all None means that the platform's workload identity provides them."""

    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_certificate: str | None = field(default=None, repr=False)
    """PEM text of a private certificate authority, trusted besides the system's."""
    identity: WebIdentity | None = None
    """Whose keys a token service gives, instead of these."""


def read_credentials(directory: Path = DEFAULT_DIRECTORY) -> Credentials:
    """Read `accessKeyId`, `secretAccessKey`, optional `sessionToken` and `ca.crt`.

    Without keys the platform's workload identity counts, as the variables of AWS name it.

    Raises:
        StorageRefusedError: a key is missing and the platform provides no workload identity.
    """
    values = {name: _read(directory / name) for name in ("accessKeyId", "secretAccessKey")}
    missing = [name for name, value in values.items() if value is None]
    identity = WebIdentity.of_environment() if len(missing) == len(values) else None
    ambient = any(name in os.environ for name in _AMBIENT) and len(missing) == len(values)
    if missing and identity is None and not ambient:
        raise StorageRefusedError(
            f"The storage credentials in {directory} lack {' and '.join(missing)}: put them into "
            "the Secret that the storage provider names.",
            reason="CredentialsMissing",
        )
    return Credentials(
        access_key_id=values["accessKeyId"],
        secret_access_key=values["secretAccessKey"],
        session_token=_read(directory / "sessionToken"),
        ca_certificate=_read(directory / "ca.crt"),
        identity=identity,
    )


def environment_credentials() -> Credentials | None:
    """The keys of a person, as AWS's programs take them from the environment; None without any."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        token = os.environ.get("AWS_SESSION_TOKEN")
        return Credentials(access_key_id=key, secret_access_key=secret, session_token=token)
    identity = WebIdentity.of_environment()
    return Credentials(identity=identity) if identity is not None else None


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
        text = raw.decode().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageRefusedError(
            f"The storage credential {path} cannot be read: {error}.",
            reason="CredentialsUnreadable",
        ) from error
    if len(raw) > _LONGEST:
        raise StorageRefusedError(
            f"The storage credential {path} is longer than 64 KiB.", reason="CredentialsUnreadable"
        )
    return text or None
