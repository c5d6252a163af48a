"""`gradient dataset list`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from rich.table import Table


@click.command(name="list")
@target_options
def command(*, target: Target) -> None:
    """List the datasets of the namespace with their newest versions."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.console import make_console

    namespace, datasets = run_async(_list(target))
    if not datasets:
        click.echo(
            f"No datasets in namespace {namespace}. Make one: gradient dataset put DIRECTORY NAME "
            f"-n {namespace}",
            err=True,
        )
        return
    make_console().print(datasets_table(datasets, time.time()))


async def _list(target: Target) -> tuple[str, list[dict[str, Any]]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.kube.resources import DATASETS

    async with connect(target) as cluster:
        listed = await cluster.client.list_all(DATASETS, namespace=cluster.namespace)
        return cluster.namespace, listed.items


def datasets_table(datasets: list[dict[str, Any]], now: float) -> Table:
    """Datasets with newest version, size, number of versions and age."""
    from gradient_operator.api.times import parse_time
    from gradient_operator.cli.dataset.catalog import shown_name
    from gradient_operator.cli.output.console import cell, safe
    from gradient_operator.cli.output.run_tables import plain_table
    from gradient_operator.cli.output.text import ago, size

    table = plain_table("name", "latest", "size", "files", "versions", "updated", "tags")
    for dataset in sorted(datasets, key=lambda item: str(item["metadata"]["name"])):
        spec, status = dataset.get("spec") or {}, dataset.get("status") or {}
        latest = status.get("latest") or {}
        table.add_row(
            safe(shown_name(dataset)),
            latest.get("version", ""),
            size(latest.get("bytes")),
            str(latest.get("files", "")),
            str(status.get("versions", 0)),
            ago(parse_time(latest.get("createdAt")), now),
            cell(", ".join(sorted(spec.get("tags") or {}))),
        )
    return table
