"""`gradient show`: everything about one run, once or until it ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.cluster import Cluster


@click.command(name="show")
@click.argument("run", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Show the run until it ends.")
@output_option
@target_options
def command(*, run: str, follow: bool, output: str, target: Target) -> int:
    """Show one run: graph, data, failures.

    With --follow the exit code is the run's result: 0 succeeded, 1 failed, 3 cancelled.
    """
    from gradient_operator.cli.cluster import run_async

    if follow and output == "json":
        raise CommandError("--follow cannot write JSON: leave one of the two out.")
    return run_async(_follow(run, target) if follow else _show(run, output, target))


async def _follow(name: str, target: Target) -> int:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.follow import follow_run
    from gradient_operator.cli.output.console import make_console

    async with connect(target) as cluster:
        return await follow_run(cluster, name, make_console())


async def _show(name: str, output: str, target: Target) -> int:
    from gradient_operator.cli.archive import find_anywhere
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.console import emit, make_console
    from gradient_operator.cli.output.details import details
    from gradient_operator.cli.output.run_json import run_details
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.cli.transfers import transfers

    async with connect(target) as cluster:
        run, archived = await find_anywhere(cluster, target, name)
        models = await _models(cluster, run)
        view, now = run_view({**run, "archived": archived is not None}), time.time()
        moving = await transfers(cluster, view.jobs)
    if output == "json":
        click.echo(json.dumps(run_details(view, models=models, moving=moving, now=now), indent=2))
    else:
        console = make_console()
        shown = details(view, models=models, moving=moving, now=now, width=console.width)
        emit(console, shown)
    return ExitCode.SUCCEEDED


async def _models(cluster: Cluster, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The models that this run registered; none where the run has no such job."""
    from gradient_operator.kube.resources import MODELS

    jobs = (run["spec"].get("definition") or {}).get("jobs") or {}
    if not any((job or {}).get("uses") == "create-model@v1" for job in jobs.values()):
        return []
    listed = await cluster.client.list_all(MODELS, namespace=cluster.namespace)
    return [
        model
        for model in listed.items
        if (model["spec"].get("origin") or {}).get("run") == run["metadata"]["name"]
    ]
