"""`gradient rerun`: does a run again, wholly, or from where it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.output.run_view import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    run: str
    failed: bool = False
    again: tuple[str, ...] = ()
    name: str | None = None


@click.command(
    name="rerun",
    epilog="Examples: gradient rerun train-abc --failed --follow; "
    "gradient rerun train-abc --failed --from Train --name train-abc-again",
)
@click.argument("run", metavar="RUN")
@click.option("--failed", is_flag=True, help="Keep what succeeded; run the rest.")
@click.option(
    "--from",
    "again",
    multiple=True,
    metavar="JOB",
    help="With --failed: run this job again too, and all after it (repeatable).",
)
@click.option("--name", metavar="NAME", help="Of the new run: asking again starts no second one.")
@click.option("--follow", is_flag=True, help="Follow it to its end.")
@target_options
def command(
    *,
    run: str,
    failed: bool,
    again: tuple[str, ...],
    name: str | None,
    follow: bool,
    target: Target,
) -> int:
    """Run a run's definition again, with the input versions that it had.

    With --failed, jobs that succeeded are taken over with their datasets and strings. One whose
    volume a job needs that runs again runs again too, unless the volume travels as copies.
    With --follow the exit code is the run's result: 0 succeeded, 1 failed, 3 cancelled.
    """
    from gradient_operator.cli.cluster import run_async

    if again and not failed:
        raise CommandError("--from says where to go on: use it with --failed.")
    request = Request(run=run, failed=failed, again=again, name=name)
    return run_async(_rerun(request, target, follow=follow))


async def _rerun(request: Request, target: Target, *, follow: bool) -> int:
    from gradient_operator.cli.cluster import connect

    async with connect(target) as cluster:
        name = await start_again(cluster, request)
        click.echo(f"Started run {name}.", err=follow)
        if not follow:
            click.echo(f"Follow it: gradient show {name} -n {cluster.namespace} -f", err=True)
            return ExitCode.SUCCEEDED
        from gradient_operator.cli.follow import follow_run
        from gradient_operator.cli.output.console import make_console

        return await follow_run(cluster, name, make_console())


async def start_again(cluster: Cluster, request: Request) -> str:
    """Create the new run and return its name.

    Raises:
        CommandError: the run does not exist, has not ended, or has nothing to run again.
    """
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.kube.errors import AlreadyExists
    from gradient_operator.kube.resources import RUNS

    hint = "List them with 'gradient runs'; an archived run cannot be run again."
    parent = await cluster.find(RUNS, request.run, hint=hint)
    _check(run_view(parent), request)
    body = _body(parent, request)
    try:
        await cluster.client.create(RUNS, body, namespace=cluster.namespace)
    except AlreadyExists:
        name = body["metadata"]["name"]
        found = await cluster.find(RUNS, name, hint="")
        if not _same(found["spec"].get("rerunOf") or {}, body["spec"]["rerunOf"]):
            raise CommandError(
                f"There is a run {name!r} that is another one: choose another --name."
            ) from None
    return str(body["metadata"]["name"])


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two reruns are of the same, whatever defaults the API server filled in."""
    return {"from": [], **left} == {"from": [], **right}


def _check(run: RunView, request: Request) -> None:
    if not run.final:
        raise CommandError(
            f"Run {run.name} has not ended ({run.phase}). "
            f"Wait for it, or stop it: gradient cancel {run.name} -n {run.namespace}"
        )
    known = {name for job in run.jobs for name in (job.name, job.base) if name}
    for name in request.again:
        if name not in known:
            raise CommandError(
                f"Run {run.name} has no job {name!r}: its jobs: {', '.join(sorted(known))}."
            )
    if request.failed and not request.again and run.phase == "Succeeded":
        raise CommandError(
            f"Run {run.name} succeeded: nothing of it failed. To run all of it again leave "
            "--failed out; to go on from a job add --from JOB."
        )


def _body(parent: dict[str, Any], request: Request) -> dict[str, Any]:
    from gradient_operator.api.names import API_VERSION, LABEL_WORKFLOW
    from gradient_operator.cli.start import run_name

    metadata, spec = parent["metadata"], parent["spec"]
    labels = metadata.get("labels") or {}
    kept = {key: spec[key] for key in ("workflow", "definition", "policy", "inputs") if key in spec}
    rerun_of: dict[str, Any] = {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "jobs": "Failed" if request.failed else "All",
    }
    if request.again:
        rerun_of["from"] = list(request.again)
    owners = [
        {**owner, "blockOwnerDeletion": False} for owner in metadata.get("ownerReferences") or ()
    ]
    return {
        "apiVersion": API_VERSION,
        "kind": "GradientRun",
        "metadata": {
            "name": request.name or run_name(spec.get("workflow") or metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {LABEL_WORKFLOW: labels[LABEL_WORKFLOW]} if LABEL_WORKFLOW in labels else {},
            **({"ownerReferences": owners} if owners else {}),
        },
        "spec": {**kept, "trigger": {"kind": "Manual"}, "rerunOf": rerun_of},
    }
