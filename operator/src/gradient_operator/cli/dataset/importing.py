"""`gradient dataset import`."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, reached
from gradient_operator.cli.dataset.plain_bucket import (
    Elsewhere,
    PlainBucket,
    elsewhere_options,
    is_plain,
    plain_bucket,
)
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.datasets.location import StorageLocation


@click.command(name="import")
@click.argument("source", metavar="s3://BUCKET/PREFIX|FILE.tar|-")
@click.argument("name", metavar="NAME")
@click.option("-m", "--message", default="", metavar="TEXT", help="What this version is.")
@elsewhere_options
@endpoint_option
@target_options
def command(
    *,
    source: str,
    name: str,
    message: str,
    s3_endpoint: str | None,
    s3_region: str | None,
    s3_credentials: Path | None,
    endpoint: str | None,
    target: Target,
) -> None:
    """Make a new version of the objects below a prefix, or of a tar archive.

    The bucket is one of the server that keeps the dataset, and opened with its keys, unless
    --s3-endpoint and --s3-credentials say otherwise. Everything passes through a temporary folder
    of this machine (TMPDIR says where).
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.put import commit_version, new_reference, prepare, send

    reference = new_reference(name)
    storage, base = run_async(prepare(reference, target))
    elsewhere = Elsewhere(endpoint=s3_endpoint, region=s3_region, credentials=s3_credentials)
    with (
        tempfile.TemporaryDirectory(prefix="gradient-import-") as scratch,
        reached(storage, endpoint=endpoint, target=target) as (store, location),
    ):
        folder = Path(scratch) / "version"
        folder.mkdir()
        if is_plain(source):
            bucket = plain_bucket(source, location, storage.credentials, elsewhere)
            _fetch(bucket, source, folder)
        else:
            _unpack(source, folder)
        made = send(store, folder, reference, base)
    commit_version(
        reference, made, message or f"imported from {source}", shown=source, target=target
    )


def _fetch(bucket: PlainBucket, source: str, folder: Path) -> None:
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.helpers.s3_bucket import Source
    from gradient_operator.helpers.s3_download import Download, copy_objects

    task = Download(
        source=Source(
            bucket=bucket.location.bucket,
            endpoint=_server(bucket.location),
            region=bucket.location.region,
            access_key=bucket.credentials.access_key_id or "",
            secret_key=bucket.credentials.secret_access_key or "",
            session_token=bucket.credentials.session_token or "",
        ),
        key=bucket.prefix,
        is_folder=True,
        path=str(folder),
    )
    transfer(
        lambda meter: copy_objects(task, meter),
        title=f"Fetching {source}",
        total=None,
        console=make_console(stderr=True),
    )


def _server(location: StorageLocation) -> str:
    if location.is_local:
        raise CommandError("The dataset is kept in a folder: give --s3-endpoint for the bucket.")
    return location.endpoint


def _unpack(source: str, folder: Path) -> None:
    """Unpack an archive; nothing of it can get out of the folder."""
    try:
        with (
            tarfile.open(fileobj=sys.stdin.buffer, mode="r|*")
            if source == "-"
            else tarfile.open(source, mode="r:*")
        ) as archive:
            archive.extractall(folder, filter=_member)  # noqa: S202 - the filter keeps it inside
    except (tarfile.TarError, FileNotFoundError, IsADirectoryError) as error:
        raise CommandError(f"{source} cannot be read as a tar archive: {error}.") from None


def _member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Links are kept whatever they name; no file is written outside through one."""
    kept = tarfile.tar_filter(member, folder)
    return kept.replace(uid=os.getuid(), gid=os.getgid(), uname="", gname="", deep=False)
