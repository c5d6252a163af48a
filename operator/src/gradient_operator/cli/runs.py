"""`gradient runs`: the runs of a namespace, newest first."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.output.run_view import RunView


@click.command(name="runs")
@output_option
@target_options
def command(*, output: str, target: Target) -> None:
    """List the runs, newest first."""
    from gradient_operator.cli.cluster import run_async

    namespace, runs = run_async(_list(target))
    now = time.time()
    if output == "json":
        from gradient_operator.cli.output.run_json import run_summary

        click.echo(json.dumps([run_summary(run, now) for run in runs], indent=2))
        return
    if not runs:
        click.echo(
            f"No runs in namespace {namespace}. Start one: gradient run FILE -n {namespace}",
            err=True,
        )
        return
    from gradient_operator.cli.output.console import emit, make_console
    from gradient_operator.cli.output.run_tables import runs_table

    console = make_console()
    emit(console, runs_table(runs, now=now, width=console.width))


async def _list(target: Target) -> tuple[str, list[RunView]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.resources import RUNS

    async with connect(target) as cluster:
        listed: list[dict[str, Any]] = []
        async for page in cluster.client.list_pages(RUNS, namespace=cluster.namespace, limit=50):
            listed += page.items
        runs = [run_view(run) for run in listed]
        runs.sort(key=lambda run: (-(run.created_at or 0), run.name))
        return cluster.namespace, runs
