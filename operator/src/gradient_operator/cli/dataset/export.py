"""`gradient dataset export`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from gradient_operator.cli.dataset.access import endpoint_option, reached
from gradient_operator.cli.dataset.plain_bucket import (
    Elsewhere,
    PlainBucket,
    elsewhere_options,
    is_plain,
    plain_bucket,
)
from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.dataset.lookup import Found
    from gradient_operator.datasets.backend import ObstoreBackend
    from gradient_operator.datasets.store import BlobStore


_MOST_NAMED: Final = 20


@click.command(name="export")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("place", metavar="FILE.tar|-|s3://BUCKET/PREFIX")
@elsewhere_options
@endpoint_option
@target_options
def command(
    *,
    reference: str,
    place: str,
    s3_endpoint: str | None,
    s3_region: str | None,
    s3_credentials: Path | None,
    endpoint: str | None,
    target: Target,
) -> int:
    """Write a version as a tar archive, or as plain objects into a bucket.

    Every byte is checked against the version's digest on the way. The same version is the same
    archive, byte for byte; `-` is standard output.

    Objects stand below an empty prefix, one for each file; it ends with 1 if something has no
    object: links, and names that no S3 server takes. The bucket is one of the server that keeps the
    dataset, and opened with its keys, unless --s3-endpoint and --s3-credentials say otherwise.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate

    if place == "-" and sys.stdout.isatty():
        raise CommandError("An archive is not for a terminal: send it into a file or a pipe.")
    found, storage = run_async(locate(reference, target))
    elsewhere = Elsewhere(endpoint=s3_endpoint, region=s3_region, credentials=s3_credentials)
    with reached(storage, endpoint=endpoint, target=target) as (store, location):
        if not is_plain(place):
            _archive(store, found, place)
            return ExitCode.SUCCEEDED
        bucket = plain_bucket(place, location, storage.credentials, elsewhere)
        return _objects(store, found, bucket, place)


def _archive(store: BlobStore, found: Found, file: str) -> None:
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.archive import write_tar

    with _opened(file) as archive:
        transfer(
            lambda meter: write_tar(store, found.digest, archive, progress=meter),
            title=f"Exporting {found.name}",
            total=found.bytes,
            console=make_console(stderr=True),
        )
    click.echo(
        f"Exported {found.name} ({files(found.files)}, {size(found.bytes)}) to "
        f"{'standard output' if file == '-' else file}.",
        err=True,
    )


def _objects(store: BlobStore, found: Found, plain: PlainBucket, place: str) -> int:
    """Write the objects; the exit code says whether everything of the version has one."""
    from gradient_operator.cli.dataset.files import shown_path
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.plain import export_plain

    bucket = plain.open()
    if not _is_empty(bucket, plain.prefix):
        raise CommandError(f"{place} holds objects already: give a prefix that holds none.")
    done = transfer(
        lambda meter: export_plain(store, found.digest, bucket, plain.prefix, progress=meter),
        title=f"Exporting {found.name}",
        total=found.bytes,
        console=make_console(stderr=True),
    )
    for path, why in done.left_out[:_MOST_NAMED]:
        click.echo(f"left out  {shown_path(path)} {why}", err=True)
    if len(done.left_out) > _MOST_NAMED:
        click.echo(f"left out  and {len(done.left_out) - _MOST_NAMED:,} more", err=True)
    content = f"({files(done.files)}, {size(done.bytes)})"
    click.echo(f"Exported {found.name} {content} to {place}.", err=True)
    return ExitCode.FAILED if done.left_out else ExitCode.SUCCEEDED


def _is_empty(bucket: ObstoreBackend, prefix: str) -> bool:
    """Whether there are no objects; a missing bucket has none, and some servers make it."""
    from gradient_operator.datasets.errors import StorageRefusedError

    try:
        return next(bucket.list(prefix), None) is None
    except StorageRefusedError as refused:
        if refused.reason != "BucketMissing":
            raise
        return True


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """The archive's file; half of one is not left behind."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    if path.exists():
        raise CommandError(f"{path} exists already: remove it, or give another name.")
    with path.open("xb") as opened:
        try:
            yield opened
        except BaseException:
            path.unlink(missing_ok=True)
            raise
