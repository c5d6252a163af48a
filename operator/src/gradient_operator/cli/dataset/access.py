"""Opens the bucket of a dataset from this machine; the options that say how stand here too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.dataset.storage import Storage
    from gradient_operator.cli.options import Target
    from gradient_operator.datasets.location import StorageLocation
    from gradient_operator.datasets.store import BlobStore, CollectorStore

RETRY_SECONDS: Final = 60.0
"""A person waits: the helpers' patience would look like a hang."""

endpoint_option = click.option(
    "--endpoint",
    envvar="GRADIENT_S3_ENDPOINT",
    metavar="URL",
    help="Address of the object storage from this machine (or GRADIENT_S3_ENDPOINT).",
)


@contextmanager
def open_store(storage: Storage, *, endpoint: str | None, target: Target) -> Iterator[BlobStore]:
    """The bucket, for as long as the body runs.

    Raises:
        CommandError: there is no way to it.
        DatasetError: it refuses us.
    """
    with open_collector(storage, endpoint=endpoint, target=target) as store:
        yield store


@contextmanager
def open_collector(
    storage: Storage, *, endpoint: str | None, target: Target
) -> Iterator[CollectorStore]:
    """The bucket, for the one command that deletes in it.

    Raises:
        CommandError: there is no way to it.
        DatasetError: it refuses us.
    """
    with reached(storage, endpoint=endpoint, target=target) as (store, _):
        yield store


@contextmanager
def reached(
    storage: Storage, *, endpoint: str | None, target: Target
) -> Iterator[tuple[CollectorStore, StorageLocation]]:
    """The bucket, and its location as this machine reaches it.

    Raises:
        CommandError: there is no way to it.
        DatasetError: it refuses us.
    """
    from gradient_operator.cli.dataset.forward import reachable
    from gradient_operator.datasets.store import CollectorStore, RetryPolicy

    with reachable(storage.location, endpoint=endpoint, target=target, say=_say) as location:
        store = CollectorStore.open(
            location, storage.credentials, retry=RetryPolicy(elapsed=RETRY_SECONDS)
        )
        yield store, location


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
