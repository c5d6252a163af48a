"""`gradient model get`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.model.lookup import Registered


@click.command(name="get")
@click.argument("name", metavar="NAME[:VERSION]|ID")
@click.argument("directory", metavar="[DIRECTORY]", required=False, type=click.Path(path_type=Path))
@output_option
@endpoint_option
@target_options
def command(
    *, name: str, directory: Path | None, output: str, endpoint: str | None, target: Target
) -> None:
    """Say what a model is; with DIRECTORY, download its files into it.

    DIRECTORY must be new or empty, and every byte is checked, as by `gradient dataset get`.
    """
    from gradient_operator.cli.cluster import run_async

    model = run_async(_find(name, target))
    if directory is not None:
        from gradient_operator.cli.dataset.get import download

        download(model.reference, directory, endpoint=endpoint, target=target)
        return
    if output == "json":
        click.echo(json.dumps(model.as_dict(), indent=2))
        return
    for line in _lines(model, now=time.time()):
        click.echo(line)


async def _find(name: str, target: Target) -> Registered:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.model.lookup import choose, list_models

    async with connect(target) as cluster:
        return choose(await list_models(cluster), name, namespace=cluster.namespace)


def _lines(model: Registered, *, now: float) -> list[str]:
    from gradient_operator.cli.output.text import ago

    return [
        f"model    {model.name}",
        f"kind     {model.kind}",
        f"version  {model.version}, dataset {model.reference}",
        f"digest   {model.digest}",
        f"made by  {model.made_by or 'hand'}, {ago(model.created_at, now)}",
        f"id       {model.id}",
    ]
