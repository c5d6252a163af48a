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
    """List the datasets."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.console import emit, make_console

    namespace, datasets = run_async(_list(target))
    if not datasets:
        click.echo(
            f"No datasets in namespace {namespace}. Make one: gradient dataset put DIRECTORY NAME "
            f"-n {namespace}",
            err=True,
        )
        return
    console = make_console()
    emit(console, datasets_table(datasets, now=time.time(), width=console.width))


async def _list(target: Target) -> tuple[str, list[dict[str, Any]]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.kube.resources import DATASETS

    async with connect(target) as cluster:
        listed = await cluster.client.list_all(DATASETS, namespace=cluster.namespace)
        return cluster.namespace, listed.items


def datasets_table(datasets: list[dict[str, Any]], *, now: float, width: int) -> Table:
    """Datasets with newest version, size, number of versions and age."""
    from rich.text import Text

    from gradient_operator.api.times import parse_time
    from gradient_operator.cli.dataset.lookup import shown_name
    from gradient_operator.cli.output.console import safe
    from gradient_operator.cli.output.fitted import Column, fitted_table
    from gradient_operator.cli.output.text import ago, size

    ordered = sorted(datasets, key=lambda item: str(item["metadata"]["name"]))
    specs = [item.get("spec") or {} for item in ordered]
    states = [item.get("status") or {} for item in ordered]
    latest = [state.get("latest") or {} for state in states]
    tags = [safe(", ".join(sorted(spec.get("tags") or {}))) for spec in specs]
    ages = [Text(ago(parse_time(item.get("createdAt")), now)) for item in latest]
    counts = [Text(str(state.get("versions", ""))) for state in states]
    files = [Text(str(item.get("files", ""))) for item in latest]
    return fitted_table(
        [
            Column(title="name", cells=[safe(shown_name(item)) for item in ordered]),
            Column(title="latest", cells=[safe(item.get("version", "")) for item in latest]),
            Column(title="size", cells=[Text(size(item.get("bytes"))) for item in latest], drop=1),
            Column(title="files", cells=files, drop=4),
            Column(title="versions", cells=counts, drop=3),
            Column(title="updated", cells=ages, drop=2),
            Column(title="tags", cells=tags, drop=5, flexible=True),
        ],
        width,
    )
