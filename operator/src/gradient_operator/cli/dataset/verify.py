"""`gradient dataset verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.dataset.files import locate, shown_path
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.datasets.verify import Damage


@click.command(name="verify")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@endpoint_option
@target_options
def command(*, reference: str, endpoint: str | None, target: Target) -> int:
    """Read every byte of a version back and compare the digests.

    Damaged files are named one a line; the exit code is then 1. Nothing is written to disk.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.errors import ExitCode
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.cli.output.text import files, size
    from gradient_operator.datasets.verify import examine

    found, storage = run_async(locate(reference, target))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        damaged = transfer(
            lambda meter: sum(map(_told, examine(store, found.digest, progress=meter))),
            title=f"Verifying {found.name}",
            total=found.bytes,
            console=make_console(stderr=True),
        )
    content = f"{files(found.files)}, {size(found.bytes)}"
    if not damaged:
        click.echo(f"{found.name} is whole ({content}).")
        return ExitCode.SUCCEEDED
    click.echo(
        f"{found.name} is damaged: {damaged} of {content}. Put the same files again "
        "(gradient dataset put) or restore the bucket's objects from a backup.",
        err=True,
    )
    return ExitCode.FAILED


def _told(damage: Damage) -> int:
    click.echo(f"{'missing' if damage.missing else 'changed'}  {shown_path(damage.path)}")
    return 1
