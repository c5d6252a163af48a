"""`gradient dataset recover`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.datasets.mirror import DatasetRecord, Record, VersionRecord


@click.command(name="recover")
@click.option("--dry-run", is_flag=True, help="Say what would be made; change nothing.")
@click.option("--provider", metavar="NAME", help="A GradientStorageProvider's bucket.")
@click.option("--credentials", type=click.Path(path_type=Path), help="Folder with the keys.")
@endpoint_option
@target_options
def command(
    *,
    dry_run: bool,
    provider: str | None,
    credentials: Path | None,
    endpoint: str | None,
    target: Target,
) -> None:
    """Make datasets and versions anew from what the bucket knows of them.

    For a cluster that was lost. What exists is left as it is; a version whose list of files is not
    in the bucket any more is not made. With -n only that namespace is recovered.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.datasets.layout import MANIFESTS, manifest_digest
    from gradient_operator.datasets.mirror import read_all

    storage = run_async(_storage(provider, target, credentials))
    with open_store(storage, endpoint=endpoint, target=target) as store:
        records = [
            record for record in read_all(store) if target.namespace in {None, record.namespace}
        ]
        present = {manifest_digest(info.key) for info in store.list(MANIFESTS)}
    datasets, versions, lost = sort_out(records, present)
    done = run_async(_make(datasets, versions, target, dry_run=dry_run))
    word = "would make" if dry_run else "made"
    click.echo(
        f"The bucket knows {len(datasets)} datasets and {len(versions) + len(lost)} versions: "
        f"{word} {done.datasets} datasets and {done.versions} versions, {done.kept} were there."
    )
    for record in lost:
        click.echo(f"lost  {record.namespace}/{record.spec['dataset']}:{record.spec['version']}")
    for sentence in done.refused:
        click.echo(sentence, err=True)


async def _storage(provider: str | None, target: Target, credentials: Path | None) -> Any:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.storage import Storage, find_storage
    from gradient_operator.datasets.credentials import read_credentials

    async with connect(target) as cluster:
        found = await find_storage(cluster, provider)
        return (
            found if credentials is None else Storage(found.location, read_credentials(credentials))
        )


def sort_out(
    records: Sequence[Record], present: set[str | None]
) -> tuple[list[DatasetRecord], list[VersionRecord], list[VersionRecord]]:
    """Datasets, versions that are whole, and versions that are lost; oldest version first."""
    from gradient_operator.datasets.mirror import DatasetRecord

    datasets = [each for each in records if isinstance(each, DatasetRecord)]
    versions = [each for each in records if not isinstance(each, DatasetRecord)]
    versions.sort(key=lambda each: (each.created, each.spec["digest"]))
    whole = [each for each in versions if each.spec["digest"] in present]
    return datasets, whole, [each for each in versions if each.spec["digest"] not in present]


@dataclass(slots=True)
class Done:
    """What was made, what was there, and what the cluster refused."""

    datasets: int = 0
    versions: int = 0
    kept: int = 0
    refused: tuple[str, ...] = ()


async def _make(
    datasets: Sequence[DatasetRecord],
    versions: Sequence[VersionRecord],
    target: Target,
    *,
    dry_run: bool,
) -> Done:
    from gradient_operator.cli.cluster import connect

    done = Done()
    async with connect(target) as cluster:
        # Versions first: a dataset that is there is looked at by the operator at once.
        for version in versions:
            done.versions += await _make_one(cluster, version, done, dry_run=dry_run)
        for dataset in datasets:
            is_new = await _make_one(cluster, dataset, done, dry_run=dry_run)
            done.datasets += is_new
            if is_new and not dry_run:
                await _restore_latest(cluster, dataset, versions)
    return done


async def _make_one(cluster: Cluster, record: Record, done: Done, *, dry_run: bool) -> bool:
    from gradient_operator.dataset_versions import object_of
    from gradient_operator.datasets.mirror import DatasetRecord
    from gradient_operator.kube.errors import AlreadyExists, Invalid, NotFound
    from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS

    resource = DATASETS if isinstance(record, DatasetRecord) else DATASET_VERSIONS
    body = object_of(record)
    name = body["metadata"]["name"]
    try:
        if dry_run:
            await cluster.client.get(resource, name=name, namespace=record.namespace)
            done.kept += 1
            return False
        await cluster.client.create(resource, body, namespace=record.namespace)
    except AlreadyExists:
        done.kept += 1
        return False
    except NotFound:
        if dry_run:
            return True
        sentence = (
            f"Namespace {record.namespace} does not exist: make it (kubectl create namespace "
            f"{record.namespace}) and recover again."
        )
        done.refused = tuple(dict.fromkeys((*done.refused, sentence)))
        return False
    except Invalid as error:
        done.refused += (f"{record.namespace}/{name} was refused: {error.message}",)
        return False
    return True


async def _restore_latest(
    cluster: Cluster, dataset: DatasetRecord, versions: Sequence[VersionRecord]
) -> None:
    """Say which version was the newest: by their objects all are equally old now."""
    from gradient_operator.dataset_versions import set_latest

    own = [
        each
        for each in versions
        if (each.namespace, each.spec["dataset"]) == (dataset.namespace, dataset.name)
    ]
    if own:
        newest = next((each for each in own if each.spec["digest"] == dataset.latest), own[-1])
        await set_latest(cluster.client, dataset.name, newest)
