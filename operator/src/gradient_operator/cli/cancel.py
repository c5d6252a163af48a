"""`gradient cancel`: asks the operator to stop a run."""

from __future__ import annotations

import click

from gradient_operator.cli.options import Target, target_options


@click.command(name="cancel")
@click.argument("run", metavar="RUN")
@target_options
def command(*, run: str, target: Target) -> None:
    """Stop a run.

    Its running jobs are stopped, the others never start. What its jobs have already stored
    stays. Cancelling again does nothing.
    """
    from gradient_operator.cli.cluster import run_async

    click.echo(run_async(_cancel(run, target)))


async def _cancel(name: str, target: Target) -> str:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.resources import RUNS

    async with connect(target) as cluster:
        run = run_view(await cluster.find(RUNS, name, hint="List them with 'gradient runs'."))
        if run.final:
            return f"Run {name} has already ended: {run.phase}."
        await cluster.client.merge_patch(
            RUNS, {"spec": {"cancel": True}}, name=name, namespace=cluster.namespace
        )
        return f"Cancelling run {name}. Watch it: gradient show {name} -n {cluster.namespace} -f"
