"""`gradient runs`: the runs of a namespace, newest first."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.dataset.access import endpoint_option
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.output.run_view import RunView


@click.command(name="runs")
@click.option("--all", "everything", is_flag=True, help="Also runs that are only archived.")
@endpoint_option
@output_option
@target_options
def command(*, everything: bool, endpoint: str | None, output: str, target: Target) -> None:
    """List the runs, newest first.

    Finished runs are deleted after a while; with --all the list goes on with their archive in
    object storage.
    """
    from gradient_operator.cli.cluster import run_async

    namespace, runs = run_async(_list(target, everything=everything, endpoint=endpoint))
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


async def _list(
    target: Target, *, everything: bool, endpoint: str | None
) -> tuple[str, list[RunView]]:
    from gradient_operator.cli.archive import archived_runs
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.resources import RUNS

    async with connect(target) as cluster:
        listed: list[dict[str, Any]] = []
        async for page in cluster.client.list_pages(RUNS, namespace=cluster.namespace, limit=50):
            listed += page.items
        if everything:
            known = {run["metadata"]["uid"] for run in listed}
            archived = await archived_runs(cluster, target, endpoint=endpoint)
            listed += [
                {**item.run, "archived": True}
                for item in archived
                if item.run["metadata"]["uid"] not in known
            ]
        runs = [run_view(run) for run in listed]
        runs.sort(key=lambda run: (-(run.created_at or 0), run.name))
        return cluster.namespace, runs
