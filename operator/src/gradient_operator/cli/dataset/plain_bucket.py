"""A plain prefix of a bucket, `s3://bucket/prefix`, as `export` and `import` reach it.

Unless told otherwise it is a bucket of the server that keeps the dataset, opened with its keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gradient_operator.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.credentials import Credentials
    from gradient_operator.datasets.location import StorageLocation

F = TypeVar("F", bound="Callable[..., Any]")

SCHEME: Final = "s3://"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{2,62}")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What was said about the server of the plain bucket; None is as the dataset's own."""

    endpoint: str | None = None
    region: str | None = None
    credentials: Path | None = None


def elsewhere_options(function: F) -> F:
    """Add the options that say which server has the plain bucket."""
    for option in (
        click.option(
            "--s3-credentials",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Keys of the plain bucket: files accessKeyId and secretAccessKey.",
        ),
        click.option("--s3-region", metavar="NAME", help="Region of the plain bucket."),
        click.option("--s3-endpoint", metavar="URL", help="Server of the plain bucket."),
    ):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class PlainBucket:
    """A bucket, a prefix without slashes at its ends, and the keys."""

    location: StorageLocation
    credentials: Credentials
    prefix: str

    def open(self) -> ObstoreBackend:
        """Connect; no request is made yet."""
        from gradient_operator.datasets.backend import open_backend

        return open_backend(self.location, self.credentials)


def is_plain(text: str) -> bool:
    """Whether this names a bucket, and no file."""
    return text.startswith(SCHEME)


def plain_bucket(
    text: str, location: StorageLocation, credentials: Credentials, elsewhere: Elsewhere
) -> PlainBucket:
    """Read `s3://bucket/prefix`, next to the dataset's own bucket as this machine reaches it.

    Raises:
        CommandError: it has another form.
        DatasetError: the keys cannot be read.
    """
    from gradient_operator.datasets.credentials import read_credentials

    bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    parts = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket) or any(part in {"", ".", ".."} for part in parts):
        raise CommandError(f"{text!r} does not name a bucket: write s3://bucket/folder.")
    endpoint = elsewhere.endpoint
    if endpoint is not None and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if endpoint is not None:
        location = replace(location, endpoint=endpoint, allow_http=endpoint.startswith("http://"))
    if elsewhere.credentials is not None:
        credentials = read_credentials(elsewhere.credentials)
    region = elsewhere.region or location.region
    found = replace(location, bucket=bucket, prefix="", region=region)
    if found.is_local:
        found = replace(found, endpoint=f"{found.endpoint.rstrip('/')}/{bucket}")
    return PlainBucket(found, credentials, prefix)
