"""`gradient dataset lineage`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.cli.dataset.ancestry import Lineage, Made


@click.command(name="lineage")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@target_options
def command(*, reference: str, target: Target) -> None:
    """Show what a version was made of and by, and what was made of it."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.console import emit, make_console, safe

    lineage = run_async(_find(reference, target))
    console = make_console()
    for line in lines(lineage, now=time.time()):
        emit(console, safe(line))


async def _find(text: str, target: Target) -> Lineage:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.ancestry import trace
    from gradient_operator.cli.dataset.lookup import find_version, parse, within

    reference = parse(text)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        found = await find_version(cluster, reference)
        return await trace(cluster, found.dataset, found.version)


def lines(lineage: Lineage, *, now: float) -> Iterator[str]:
    """The lines to print: the version, upwards, downwards, and the runs that read it."""
    from gradient_operator.cli.output.text import ago

    yield f"{lineage.version.name}  {_size(lineage.version)}"
    yield f"made by  {_maker(lineage.version)}"
    yield from _tree("made of", lineage.sources)
    yield from _tree("became", lineage.results)
    runs = [f"{run.name}  {run.phase}, {ago(run.started, now)}" for run in lineage.runs]
    for number, run in enumerate(runs):
        yield f"{'' if number else 'read by':<9}{run}"
    if not runs:
        yield "read by  no run that still exists"
    for namespace in lineage.unseen:
        yield f"         (namespace {namespace} may read it too; you may not look there)"


def _tree(title: str, made: list[tuple[int, Made]]) -> Iterator[str]:
    for number, (depth, each) in enumerate(made):
        maker = f", made by {_maker(each)}" if each.exists else ", which was deleted"
        yield f"{'' if number else title:<9}{'  ' * depth}{each.name}  {_size(each)}{maker}"


def _size(made: Made) -> str:
    from gradient_operator.cli.output.text import files, size

    return f"({files(made.files)}, {size(made.bytes)})" if made.exists else ""


def _maker(made: Made) -> str:
    if made.run is None:
        return "gradient dataset put"
    return f"run {made.run}, job {made.job}, output {made.output}"
