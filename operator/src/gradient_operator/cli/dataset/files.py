"""`gradient dataset files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.dataset.lookup import Found
    from gradient_operator.cli.dataset.storage import Storage
    from gradient_operator.datasets.store import BlobStore


@click.command(name="files")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@endpoint_option
@target_options
def command(*, reference: str, endpoint: str | None, target: Target) -> None:
    """List the files of a version."""
    from gradient_operator.cli.cluster import run_async

    found, storage = run_async(locate(reference, target))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        for line in file_lines(store, found.digest):
            click.echo(line)


async def locate(text: str, target: Target) -> tuple[Found, Storage]:
    """The version that a reference means, and where it is kept."""
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.lookup import find_version, parse, within
    from gradient_operator.cli.dataset.storage import find_storage

    reference = parse(text)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        found = await find_version(cluster, reference)
        return found, await find_storage(cluster, found.provider)


def file_lines(store: BlobStore, digest: str) -> Iterator[str]:
    """One line per file, link and empty directory, in the order of their paths."""
    from gradient_operator.cli.output.text import size
    from gradient_operator.datasets.entries import FileEntry, LinkEntry
    from gradient_operator.datasets.manifest import ManifestReader

    with ManifestReader.fetch(store, digest) as manifest:
        for entry in manifest.entries():
            if isinstance(entry, FileEntry):
                yield f"{size(entry.size):>10}  {shown_path(entry.path)}"
            elif isinstance(entry, LinkEntry):
                yield f"{'link':>10}  {shown_path(entry.path)} -> {shown_path(entry.target)}"
            else:
                yield f"{'directory':>10}  {shown_path(entry.path)}/"


def shown_path(path: bytes) -> str:
    """The path as it is, or quoted where it holds what would disturb a terminal."""
    text = path.decode(errors="backslashreplace")
    return text if text.isprintable() else repr(text)
