"""`gradient why`: why a run does not move, who holds it, and what to do; or why it failed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.errors import ExitCode
from gradient_operator.cli.options import Target, output_option, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.diagnosis import Diagnosis


@click.command(name="why")
@click.argument("run", metavar="RUN")
@output_option
@target_options
def command(*, run: str, output: str, target: Target) -> int:
    """Say why a run does not move, or why it failed.

    On one screen: what it waits for, since when, who holds it, and what to do. Of a run that has
    ended, also of one that only the archive has: what failed first, with its last lines, and how
    to go on. docs/why.md has every reason.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.why_view import as_json, as_text

    now = time.time()
    found = run_async(_diagnose(run, target, now))
    if output == "json":
        click.echo(json.dumps(as_json(found, now), indent=2))
    else:
        click.echo(as_text(found, now), nl=False)
    return ExitCode.SUCCEEDED


async def _diagnose(name: str, target: Target, now: float) -> Diagnosis:
    from gradient_operator.cli.archive import find_anywhere, last_lines
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.diagnosis import diagnose
    from gradient_operator.cli.output.run_view import run_view
    from gradient_operator.cli.transfers import transfers
    from gradient_operator.cli.why_facts import LAST_LINES, Facts, gather

    async with connect(target) as cluster:
        run, archived = await find_anywhere(cluster, target, name)
        view = run_view({**run, "archived": archived is not None})
        if archived is None:
            facts = await gather(cluster, run)
            return diagnose(view, facts, now, moving=await transfers(cluster, view.jobs))
        log: list[str] = []
        if view.failed:
            job = view.failed[0].name
            log = await last_lines(cluster, target, archived, job, lines=LAST_LINES)
        return diagnose(view, Facts(log=log), now)
