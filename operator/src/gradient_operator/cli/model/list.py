"""`gradient model list`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from gradient_operator.cli.model.lookup import Registered


@click.command(name="list")
@output_option
@target_options
def command(*, output: str, target: Target) -> None:
    """List the registered models, newest first."""
    from gradient_operator.cli.cluster import run_async

    namespace, models = run_async(_list(target))
    if output == "json":
        click.echo(json.dumps([model.as_dict() for model in models], indent=2))
        return
    if not models:
        click.echo(
            f"No models in namespace {namespace}: jobs with 'uses: create-model@v1' make them.",
            err=True,
        )
        return
    from gradient_operator.cli.output.console import emit, make_console

    console = make_console()
    emit(console, models_table(models, now=time.time(), width=console.width))


async def _list(target: Target) -> tuple[str, list[Registered]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.model.lookup import list_models

    async with connect(target) as cluster:
        return cluster.namespace, await list_models(cluster)


def models_table(models: Sequence[Registered], *, now: float, width: int) -> Table:
    """Models with their kind and the dataset version that each is."""
    from rich.text import Text

    from gradient_operator.cli.output.console import safe
    from gradient_operator.cli.output.fitted import Column, fitted_table
    from gradient_operator.cli.output.text import ago

    return fitted_table(
        [
            Column(title="model", cells=[safe(model.name) for model in models]),
            Column(title="kind", cells=[safe(model.kind) for model in models]),
            Column(title="version", cells=[safe(model.version) for model in models]),
            Column(title="dataset", cells=[safe(model.dataset) for model in models], drop=2),
            Column(
                title="made by",
                cells=[safe(model.made_by) for model in models],
                drop=3,
                flexible=True,
            ),
            Column(
                title="registered",
                cells=[Text(ago(model.created_at, now)) for model in models],
                drop=1,
            ),
            Column(title="id", cells=[safe(model.id) for model in models], drop=4),
        ],
        width,
    )
