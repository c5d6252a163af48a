"""`gradient dataset get`."""

from __future__ import annotations

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


@click.command(name="get")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("directory", metavar="DIRECTORY", type=click.Path(path_type=Path))
@endpoint_option
@target_options
def command(*, reference: str, directory: Path, endpoint: str | None, target: Target) -> None:
    """Download a version into a directory.

    DIRECTORY must be new or empty. Every byte is checked against the version's digest. What an
    interrupted download left is
    removed.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.restore import restore

    _check(directory)
    found, storage = run_async(locate(reference, target))
    with (
        open_store(storage, endpoint=endpoint, target=target) as store,
        removed_on_failure(directory),
    ):
        transfer(
            lambda meter: restore(store, found.digest, directory, progress=meter),
            title=f"Downloading {found.name}",
            total=found.bytes,
            console=make_console(stderr=True),
        )
    click.echo(
        f"Downloaded {found.name} ({files(found.files)}, {size(found.bytes)}) into {directory}."
    )


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
