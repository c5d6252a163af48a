"""`gradient dataset get`."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.selection import Selection
    from gradient_operator.datasets.store import BlobStore


@click.command(name="get")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("directory", metavar="DIRECTORY", type=click.Path(path_type=Path))
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@endpoint_option
@target_options
def command(
    *,
    reference: str,
    directory: Path,
    paths: tuple[str, ...],
    endpoint: str | None,
    target: Target,
) -> None:
    """Download a version, or some files and folders of it, into a directory.

    DIRECTORY must be new or empty. With PATHs only these are fetched, and stand in the directory as
    they stand in the version. Every byte is checked against the version's digest. After an
    interruption the same command goes on where it stopped.
    """
    download(reference, directory, paths, endpoint=endpoint, target=target)


def download(
    reference: str,
    directory: Path,
    paths: tuple[str, ...] = (),
    *,
    endpoint: str | None,
    target: Target,
) -> None:
    """Download a version, or these paths of it, while somebody watches; and say what it was.

    Raises:
        CommandError: the directory is not empty, or there is no such version.
        DatasetError: it could not be done.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.restore import restore
    from gradient_operator.datasets.selection import Selection

    _check(directory)
    only = Selection.of(map(os.fsencode, paths)) if paths else None
    found, storage = run_async(locate(reference, target))
    _check(directory, found.digest)
    with (
        open_store(storage, endpoint=endpoint, target=target) as store,
        kept_for_later(directory),
    ):
        got = transfer(
            lambda meter: restore(store, found.digest, directory, only=only, progress=meter),
            title=f"Downloading {found.name}",
            total=_total(store, found.digest, only) if only is not None else found.bytes,
            console=make_console(stderr=True),
        )
    click.echo(
        f"Downloaded {'a part of ' if paths else ''}{found.name} ({files(got.files)}, "
        f"{size(got.bytes)}) into {directory}."
    )


def _total(store: BlobStore, digest: str, only: Selection) -> int:
    """Bytes of what is selected; that all of it exists is seen before the directory is made."""
    from gradient_operator.datasets.manifest import ManifestReader

    with ManifestReader.fetch(store, digest) as manifest:
        return only.measure(manifest).bytes


def _check(directory: Path, digest: str = "") -> None:
    """Refuse a directory with files of somebody; leftovers of a download of `digest` are none."""
    from gradient_operator.datasets.restore import MARKER

    if not directory.exists():
        return
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else [""]
    if not names or any(name.startswith(MARKER + digest) for name in names):
        return
    if digest and any(name.startswith(MARKER) for name in names):
        raise CommandError(
            f"{directory} holds an interrupted download of another version: finish that one, or "
            "remove the directory."
        )
    raise CommandError(f"{directory} is not an empty directory: give a new or an empty one.")


@contextmanager
def kept_for_later(directory: Path) -> Iterator[None]:
    """After a failure keep what has arrived, unless the storage does not hold the version whole."""
    from gradient_operator.datasets.errors import BlobCorruptError, BlobMissingError

    existed = directory.exists()
    try:
        yield
    except (BlobCorruptError, BlobMissingError):
        _remove(directory, existed=existed)
        raise
    except BaseException:
        if directory.is_dir() and any(directory.iterdir()):
            click.echo(
                f"What has arrived stays in {directory}: the same command goes on from there.",
                err=True,
            )
        raise


def _remove(directory: Path, *, existed: bool) -> None:
    for entry in directory.iterdir() if directory.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    if not existed and directory.is_dir():
        directory.rmdir()
