"""`gradient dataset export`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(name="export")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("file", metavar="FILE.tar|-")
@endpoint_option
@target_options
def command(*, reference: str, file: str, endpoint: str | None, target: Target) -> None:
    """Write a version as a tar archive; `-` is standard output.

    Every byte is checked against the version's digest on the way. The same version is the same
    archive, byte for byte.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.archive import write_tar

    if file == "-" and sys.stdout.isatty():
        raise CommandError("An archive is not for a terminal: send it into a file or a pipe.")
    found, storage = run_async(locate(reference, target))
    with (
        open_store(storage, endpoint=endpoint, target=target) as store,
        _opened(file) as archive,
    ):
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
