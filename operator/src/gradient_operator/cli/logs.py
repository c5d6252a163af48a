"""`gradient logs`: the logs of a run's jobs, live, while their Pods are there, or archived."""

from __future__ import annotations

import click

from gradient_operator.api.names import CONTAINER_FETCH, CONTAINER_MAIN, CONTAINER_UPLOADER
from gradient_operator.cli.options import Target, target_options


@click.command(name="logs")
@click.argument("run", metavar="RUN")
@click.argument("job", metavar="[JOB]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job, or the run, has ended.")
@click.option("--attempt", type=click.IntRange(min=1), help="An earlier attempt of the job.")
@click.option(
    "--container",
    type=click.Choice([CONTAINER_MAIN, CONTAINER_FETCH, CONTAINER_UPLOADER]),
    default=CONTAINER_MAIN,
    help="main (default), fetch (inputs) or uploader (outputs).",
)
@target_options
def command(
    *,
    run: str,
    job: str | None,
    follow: bool,
    attempt: int | None,
    container: str,
    target: Target,
) -> int:
    """Print the logs of one job or of all.

    With several jobs each line begins with its job's name. Without --attempt it is each job's
    last attempt.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.log_stream import Selection, print_logs

    selection = Selection(run=run, job=job, attempt=attempt, container=container, follow=follow)
    return run_async(print_logs(selection, target))
