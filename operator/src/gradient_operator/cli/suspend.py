"""`gradient suspend` and `resume`: make a pause in a run, or in the triggers of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.kube.resources import Resource

_of_workflow = click.option("--workflow", is_flag=True, help="NAME is a workflow, not a run.")


@click.command(name="suspend")
@click.argument("name", metavar="NAME")
@_of_workflow
@target_options
def command(*, name: str, workflow: bool, target: Target) -> None:
    """Make a pause: of a run, or of what starts runs of a workflow.

    Of a suspended run no job starts; what runs goes on, and ends as ever. A suspended workflow
    starts no run by itself; gradient run still does. gradient resume ends the pause.
    """
    from gradient_operator.cli.cluster import run_async

    click.echo(run_async(_set(name, target, workflow=workflow, suspend=True)))


@click.command(name="resume")
@click.argument("name", metavar="NAME")
@_of_workflow
@target_options
def resume(*, name: str, workflow: bool, target: Target) -> None:
    """End the pause of a run, or of a workflow.

    A run goes on where it was. A workflow whose file changed meanwhile starts one run; times of its
    schedule that passed are left out.
    """
    from gradient_operator.cli.cluster import run_async

    click.echo(run_async(_set(name, target, workflow=workflow, suspend=False)))


async def _set(name: str, target: Target, *, workflow: bool, suspend: bool) -> str:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.resources import RUNS, WORKFLOWS

    resource: Resource = WORKFLOWS if workflow else RUNS
    hint = "List them with 'kubectl get gwf'." if workflow else "List them with 'gradient runs'."
    what = f"{'Workflow' if workflow else 'Run'} {name}"
    async with connect(target) as cluster:
        found = await cluster.find(resource, name, hint=hint)
        if not workflow and (view := run_view(found)).final:
            return f"{what} has already ended: {view.phase}."
        if bool(found["spec"].get("suspend")) is suspend:
            return f"{what} {'is suspended already' if suspend else 'is not suspended'}."
        patch = {"spec": {"suspend": suspend or None}}
        await cluster.client.merge_patch(resource, patch, name=name, namespace=cluster.namespace)
        flag = " --workflow" if workflow else ""
        again = f" To go on: gradient resume {name}{flag} -n {cluster.namespace}"
        return f"{what} {'is suspended.' + again if suspend else 'goes on.'}"
