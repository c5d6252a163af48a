"""`gradient dataset gc`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_collector
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.dataset.storage import Storage
    from gradient_operator.datasets.collect import Report
    from gradient_operator.datasets.marking import Roots
    from gradient_operator.datasets.store import BlobStore


_MOST_TOLD: Final = 10
"""Missing versions in a report, which has to fit into a termination message."""


@click.command(name="gc")
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing.")
@click.option("--grace", default="48h", metavar="TIME", help="How long things are only marked.")
@click.option("--provider", metavar="NAME", help="A GradientStorageProvider's bucket.")
@click.option("--force", is_flag=True, help="Although most of what the bucket knows would go.")
@click.option("--take-over", is_flag=True, help="Although another cluster has collected here.")
@click.option("--config", type=click.Path(path_type=Path), help="The operator's configuration.")
@click.option("--credentials", type=click.Path(path_type=Path), help="Folder with the keys.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the result there as JSON.")
@output_option
@endpoint_option
@target_options
def command(
    *,
    dry_run: bool,
    grace: str,
    provider: str | None,
    force: bool,
    take_over: bool,
    config: Path | None,
    credentials: Path | None,
    report: Path | None,
    output: str,
    endpoint: str | None,
    target: Target,
) -> None:
    """Delete from the bucket what no version needs any more.

    What is unreachable is marked first and deleted by a later collection, when the grace is over.
    It takes keys that may delete, and the right to read all namespaces: in a cluster a CronJob does
    it. Versions themselves are deleted by spec.retention of their dataset, or with kubectl.
    """
    from gradient_operator.api.times import parse_duration
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.datasets.collect import Settings, as_dict, collect

    try:
        seconds = parse_duration(grace)
    except ValueError as error:
        raise CommandError(f"--grace: {error}.") from None
    storage, owner = run_async(_prepare(provider, target, config, credentials))
    settings = Settings(
        owner=owner, grace=seconds, dry_run=dry_run, force=force, take_over=take_over
    )
    with open_collector(storage, endpoint=endpoint, target=target) as store:
        found = collect(store, lambda: _roots(target), settings)
        if not dry_run:
            run_async(_record(store, provider, target))
    if report is not None:
        told = as_dict(found) | {"missing": list(found.missing[:_MOST_TOLD])}
        report.write_text(json.dumps(told, separators=(",", ":")))
    if output == "json":
        click.echo(json.dumps(as_dict(found), indent=2))
        return
    for line in lines(found, dry_run=dry_run, grace=grace):
        click.echo(line)


async def _prepare(
    provider: str | None, target: Target, config: Path | None, credentials: Path | None
) -> tuple[Storage, str]:
    """The bucket, and which cluster this is."""
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.roots import cluster_id
    from gradient_operator.cli.dataset.storage import Storage, find_storage, mounted_storage
    from gradient_operator.datasets.credentials import read_credentials

    async with connect(target) as cluster:
        owner = await cluster_id(cluster)
        if config is not None and credentials is not None:
            return mounted_storage(config, credentials), owner
        found = await find_storage(cluster, provider)
        if credentials is not None:
            found = Storage(found.location, read_credentials(credentials))
        return found, owner


def _roots(target: Target) -> Roots:
    from gradient_operator.cli.cluster import connect, run_async
    from gradient_operator.cli.dataset.roots import find_roots

    async def ask() -> Roots:
        async with connect(target) as cluster:
            return await find_roots(cluster)

    return run_async(ask())


async def _record(store: BlobStore, provider: str | None, target: Target) -> None:
    """Leave in the bucket what its datasets are called, and how a provider's own were made."""
    from itertools import chain

    from gradient_operator.cli.cluster import connect
    from gradient_operator.dataset_versions import dataset_record, version_makings, version_record
    from gradient_operator.datasets.layout import MIRROR, PROVENANCE
    from gradient_operator.datasets.mirror import write
    from gradient_operator.datasets.statements import write_statement
    from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS

    async with connect(target) as cluster:
        place = None if provider is None else cluster.namespace
        datasets = (await cluster.client.list_all(DATASETS, namespace=place)).items
        versions = (await cluster.client.list_all(DATASET_VERSIONS, namespace=place)).items
    kept = [item for item in datasets if (item.get("spec") or {}).get("provider") == provider]
    names = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in kept}
    for item in kept:
        write(store, dataset_record(item))
    present = {info.key for info in chain(store.list(MIRROR), store.list(PROVENANCE))}
    for item in versions:
        record = version_record(item)
        if (record.namespace, record.spec["dataset"]) not in names:
            continue
        if record.key not in present:  # a version never changes
            write(store, record)
        # Those of the default provider are the operator's business: it may have a key to sign them.
        for making in version_makings(item) if provider is not None else ():
            write_statement(store, making, signer=None, present=present)


def lines(report: Report, *, dry_run: bool, grace: str) -> list[str]:
    """What a person is told."""
    from gradient_operator.cli.output.text import size

    def total(part: Any) -> str:
        return f"{part.objects:,} object{'' if part.objects == 1 else 's'}, {size(part.bytes)}"

    said = [
        f"needed   {total(report.reachable)}, by {report.versions:,} versions and uploads",
        f"young    {total(report.young)}: not needed yet, written within {grace}",
        f"marked   {total(report.marked)}: not needed, deleted {grace} after they were marked",
    ]
    if dry_run:
        said.append(f"due      {total(report.due)}: would be deleted now")
    else:
        rest = "" if report.finished else " (the rest next time)"
        said.append(f"deleted  {total(report.deleted)}{rest}")
    if report.missing:
        said.append(
            f"missing  {len(report.missing)} versions are not in this bucket, as "
            f"{report.missing[0][:12]}: check them with gradient dataset verify"
        )
    return said
