"""`gradient dataset put`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.dataset.storage import Storage
    from gradient_operator.datasets.manifest import Version
    from gradient_operator.datasets.remembered import TreeMemory
    from gradient_operator.datasets.store import BlobStore
    from gradient_operator.workflow.references import DatasetReference


@click.command(name="put")
@click.argument("directory", metavar="DIRECTORY", type=click.Path(path_type=Path))
@click.argument("name", metavar="NAME")
@click.option("-m", "--message", default="", metavar="TEXT", help="What this version is.")
@endpoint_option
@target_options
def command(
    *, directory: Path, name: str, message: str, endpoint: str | None, target: Target
) -> None:
    """Upload a directory as a new version.

    A dataset that does not exist is made. Files that the storage has already are not sent
    again, and a directory that has not changed since it was put is not read again; the same
    content is the same version.
    """
    from gradient_operator.cli.cluster import run_async

    reference = new_reference(name)
    if not directory.is_dir():
        raise CommandError(f"{directory} is not a directory: give the one that holds the files.")
    storage, base = run_async(prepare(reference, target))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        memory = remembered(storage, directory)
        made = send(store, directory, reference, base, memory=memory)
    commit_version(reference, made, message, shown=str(directory), target=target)


def remembered(storage: Storage, directory: Path) -> TreeMemory | None:
    """What is known of this directory from an earlier `put`, in the user's cache."""
    from gradient_operator.datasets.remembered import TreeMemory

    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111
    if not cache.is_absolute():  # a user without a home
        return None
    return TreeMemory(cache / "gradient" / "trees", storage.location, directory)


def send(
    store: BlobStore,
    directory: Path,
    reference: DatasetReference,
    base: list[str],
    *,
    memory: TreeMemory | None = None,
) -> Version:
    """Upload a directory while somebody watches."""
    from gradient_operator.cli.dataset.transfer import transfer
    from gradient_operator.cli.output.console import make_console
    from gradient_operator.datasets.snapshot import snapshot

    return transfer(
        lambda meter: snapshot(store, directory, base=base, progress=meter, memory=memory),
        title=f"Uploading {reference.name}",
        total=_size(directory),
        console=make_console(stderr=True),
    )


def commit_version(
    reference: DatasetReference, made: Version, message: str, *, shown: str, target: Target
) -> None:
    """Make what was uploaded a version, and say which; `shown` is where it came from."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.text import files, size

    version, is_new = run_async(_commit(reference, made, message, target))
    content = f"({files(made.files)}, {size(made.bytes)})"
    if is_new:
        click.echo(f"Stored {shown} as {reference.name}:{version} {content}.")
    else:
        click.echo(f"{reference.name}:{version} holds this content already {content}.")


def new_reference(name: str) -> DatasetReference:
    """The dataset that a new version is for.

    Raises:
        CommandError: it is no name, or has a version or namespace.
    """
    from gradient_operator.cli.dataset.lookup import parse

    reference = parse(name)
    if reference.version is not None or reference.namespace is not None:
        raise CommandError(
            f"{name!r}: give the dataset's name alone; the version follows from the content, the "
            "namespace is chosen with -n."
        )
    return reference


async def prepare(reference: DatasetReference, target: Target) -> tuple[Storage, list[str]]:
    """Where the dataset is or will be kept, and the version whose files need not be sent again."""
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.storage import find_storage
    from gradient_operator.kube.errors import NotFound
    from gradient_operator.kube.resources import DATASETS

    async with connect(target) as cluster:
        provider, latest = None, None
        try:
            dataset = await cluster.client.get(
                DATASETS, name=reference.object_name, namespace=cluster.namespace
            )
        except NotFound:
            pass  # This is its first version: the commit makes the dataset, in the default storage.
        else:
            provider = (dataset.get("spec") or {}).get("provider")
            latest = (dataset.get("status") or {}).get("latest")
        storage = await find_storage(cluster, provider)
        return storage, [latest["digest"]] if latest else []


async def _commit(
    reference: DatasetReference, made: Version, message: str, target: Target
) -> tuple[str, bool]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.dataset_versions import CommitRefused, Content, commit

    content = Content(digest=made.digest, bytes=made.bytes, files=made.files, message=message)
    async with connect(target) as cluster:
        try:
            return await commit(
                cluster.client, namespace=cluster.namespace, dataset=reference, content=content
            )
        except CommitRefused as refused:
            raise CommandError(f"{refused}.") from None


def _size(directory: Path) -> int:
    """Bytes of all files below a directory, for the progress bar."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files
            except OSError:
                continue  # the upload itself says what is wrong with it
    return total
