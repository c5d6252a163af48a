"""`gradient cancel`: asks the operator to stop a run."""

from __future__ import annotations

import click

from gradient_operator.cli.options import Target, target_options


@click.command(name="cancel")
@click.argument("run", metavar="RUN")
@click.option(
    "--grace",
    type=click.IntRange(0, 86_400),
    metavar="SECONDS",
    help="How long running jobs get to end by themselves (default 30).",
)
@target_options
def command(*, run: str, grace: int | None, target: Target) -> None:
    """Stop a run.

    Its running jobs are stopped, the others never start. What its jobs have already stored
    stays. Cancelling again does nothing.
    """
    from gradient_operator.cli.cluster import run_async

    click.echo(run_async(_cancel(run, grace, target)))


async def _cancel(name: str, grace: int | None, target: Target) -> str:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.resources import RUNS

    async with connect(target) as cluster:
        run = run_view(await cluster.find(RUNS, name, hint="List them with 'gradient runs'."))
        if run.final:
            return f"Run {name} has already ended: {run.phase}."
        spec = {"cancel": True} | ({} if grace is None else {"cancelGraceSeconds": grace})
        await cluster.client.merge_patch(
            RUNS, {"spec": spec}, name=name, namespace=cluster.namespace
        )
        return f"Cancelling run {name}. Watch it: gradient show {name} -n {cluster.namespace} -f"
