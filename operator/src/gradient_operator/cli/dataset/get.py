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
    they stand in the version. Every byte is checked against the version's digest. What an
    interrupted download left is removed.
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
    with (
        open_store(storage, endpoint=endpoint, target=target) as store,
        removed_on_failure(directory),
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


def _check(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CommandError(f"{directory} is not an empty directory: give a new or an empty one.")


@contextmanager
def removed_on_failure(directory: Path) -> Iterator[None]:
    """Leave an empty directory empty, and a new one not there, when the body fails."""
    existed = directory.exists()
    try:
        yield
    except BaseException:
        for entry in directory.iterdir() if directory.is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        if not existed and directory.is_dir():
            directory.rmdir()
        raise
