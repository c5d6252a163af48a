"""`gradient dataset cat`."""

from __future__ import annotations

import os
import sys

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.options import Target, target_options


@click.command(name="cat")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("path", metavar="PATH")
@endpoint_option
@target_options
def command(*, reference: str, path: str, endpoint: str | None, target: Target) -> None:
    """Write one file of a version to standard output.

    Only the parts that hold this file are fetched, and each is checked against the version's digest
    before it is written.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.dataset.files import locate
    from gradient_operator.datasets.content import read_file
    from gradient_operator.datasets.selection import clean

    wanted = clean(os.fsencode(path))
    found, storage = run_async(locate(reference, target))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        for piece in read_file(store, found.digest, wanted):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
