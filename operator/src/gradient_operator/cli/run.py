"""`gradient run`: starts a run of a file or of a workflow in the cluster, and may follow it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.definition import Definition
    from gradient_operator.cli.start import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    subject: str
    name: str | None = None
    inputs: tuple[str, ...] = ()
    inputs_file: str | None = None
    policy: tuple[str, ...] = ()


@click.command(
    name="run",
    epilog="Examples: gradient run .gradient/workflows/train.yaml --follow; "
    "gradient run train --input dataset=mnist:production",
)
@click.argument("subject", metavar="FILE|NAME")
@click.option("--name", metavar="NAME", help="Name of the workflow, if not the file's name.")
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="Value of an input."
)
@click.option("--inputs-file", metavar="FILE", type=click.Path(), help="YAML or JSON with inputs.")
@click.option(
    "--policy",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of spec.policy for this run, as retries=2 or volumes.mode=Copy.",
)
@click.option("-f", "--follow", is_flag=True, help="Show the run until it ends.")
@target_options
def command(
    *,
    subject: str,
    name: str | None,
    inputs: tuple[str, ...],
    inputs_file: str | None,
    policy: tuple[str, ...],
    follow: bool,
    target: Target,
) -> int:
    """Start a run of a file or of a workflow.

    NAME is a GradientWorkflow in the cluster, FILE a Gradient file. A file is checked first,
    then kept as a GradientWorkflow. With --follow the exit code is the
    run's result: 0 succeeded, 1 failed, 3 cancelled.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.definition import is_file

    request = Request(
        subject=subject, name=name, inputs=inputs, inputs_file=inputs_file, policy=policy
    )
    if is_file(subject):
        draft = _of_file(request)
        target = replace(target, namespace=target.namespace or draft.definition.namespace)
        return run_async(_start(draft, target=target, follow=follow))
    if name is not None:
        raise CommandError("--name is for files: a workflow in the cluster has its name already.")
    return run_async(_start(request, target=target, follow=follow))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A run of a file, checked as far as that goes without the cluster."""

    definition: Definition
    spec: Mapping[str, Any]
    """The definition for this run, with the event that its jobs ask for."""
    inputs: dict[str, dict[str, str]]
    policy: dict[str, Any]


def _of_file(request: Request) -> Draft:
    from gradient_operator.cli.check import check_file, check_run
    from gradient_operator.cli.definition import read_definition
    from gradient_operator.cli.git_event import with_event

    definition = read_definition(request.subject, name=request.name)
    for warning in check_file(definition):
        _say(warning)
    inputs, policy = _given(request, definition.spec)
    path = Path(request.subject)
    spec, said = with_event(definition.spec, path.parent if path.is_file() else Path.cwd())
    if said:
        _say(said)
    check_run(spec, inputs, definition=definition)
    return Draft(definition=definition, spec=spec, inputs=inputs, policy=policy)


async def _start(source: Draft | Request, *, target: Target, follow: bool) -> int:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.start import create_run

    async with connect(target) as cluster:
        if isinstance(source, Draft):
            order = await _order_of_file(cluster, source)
        else:
            order = await _order_of_workflow(cluster, source)
        run = (await create_run(cluster, order))["metadata"]["name"]
        workflow, place = order.workflow["metadata"]["name"], cluster.namespace
        click.echo(f"Started run {run} of workflow {workflow} in namespace {place}.")
        if follow:
            from gradient_operator.cli.follow import follow_run
            from gradient_operator.cli.output.console import make_console

            return await follow_run(cluster, run, make_console())
    click.echo(f"Follow it: gradient show {run} -n {place} -f")
    return ExitCode.SUCCEEDED


async def _order_of_file(cluster: Cluster, draft: Draft) -> Order:
    from gradient_operator.cli.start import Order, bring_up_to_date

    workflow = await bring_up_to_date(cluster, draft.definition, say=_say)
    return Order(workflow=workflow, spec=draft.spec, inputs=draft.inputs, policy=draft.policy)


async def _order_of_workflow(cluster: Cluster, request: Request) -> Order:
    from gradient_operator.cli.check import check_run
    from gradient_operator.cli.start import Order, split_spec
    from gradient_operator.kube.resources import WORKFLOWS

    hint = "List them with 'kubectl get gradientworkflows', or give the path of a file."
    workflow = await cluster.find(WORKFLOWS, request.subject, hint=hint)
    spec, _ = split_spec(workflow)
    inputs, policy = _given(request, spec)
    check_run(spec, inputs)
    return Order(workflow=workflow, spec=spec, inputs=inputs, policy=policy)


def _given(
    request: Request, spec: Mapping[str, Any]
) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    from gradient_operator.cli.check import check_policy
    from gradient_operator.cli.inputs import declared_inputs, read_inputs, read_policy

    policy = read_policy(request.policy)
    check_policy(policy)
    return read_inputs(request.inputs, request.inputs_file, declared_inputs(spec)), policy


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
