"""`gradient dataset versions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from rich.table import Table


@click.command(name="versions")
@click.argument("name", metavar="NAME")
@target_options
def command(*, name: str, target: Target) -> None:
    """List the versions of a dataset."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.console import emit, make_console

    dataset, versions = run_async(_list(name, target))
    console = make_console()
    emit(console, versions_table(dataset, versions, now=time.time(), width=console.width))


async def _list(name: str, target: Target) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.lookup import find_dataset, list_versions, parse, within

    reference = parse(name)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        dataset = await find_dataset(cluster, reference)
        return dataset, await list_versions(cluster, reference.object_name)


def versions_table(
    dataset: dict[str, Any], versions: list[dict[str, Any]], *, now: float, width: int
) -> Table:
    """Versions with size, age, origin, tags and message; `latest` is a tag here."""
    from rich.text import Text

    from gradient_operator.api.times import parse_time
    from gradient_operator.cli.output.console import safe
    from gradient_operator.cli.output.fitted import Column, fitted_table
    from gradient_operator.cli.output.text import ago, one_line, size
    from gradient_operator.dataset_versions import created

    tags = _tags(dataset)
    specs = [item["spec"] for item in versions]
    made = [parse_time(created(item["metadata"])) for item in versions]
    return fitted_table(
        [
            Column(title="version", cells=[safe(spec["version"]) for spec in specs]),
            Column(title="size", cells=[Text(size(spec["bytes"])) for spec in specs]),
            Column(title="files", cells=[Text(str(spec["files"])) for spec in specs], drop=4),
            Column(title="created", cells=[Text(ago(then, now)) for then in made], drop=1),
            Column(
                title="made by",
                cells=[safe(_origin(spec.get("origin") or {})) for spec in specs],
                drop=3,
                flexible=True,
            ),
            Column(
                title="tags",
                cells=[safe(", ".join(tags.get(spec["version"], ()))) for spec in specs],
                drop=2,
            ),
            Column(
                title="message",
                cells=[safe(one_line(spec.get("message") or "")) for spec in specs],
                drop=5,
                flexible=True,
            ),
        ],
        width,
    )


def _tags(dataset: dict[str, Any]) -> dict[str, list[str]]:
    """The names of each version."""
    tags: dict[str, list[str]] = {}
    latest = ((dataset.get("status") or {}).get("latest") or {}).get("version")
    if latest:
        tags[latest] = ["latest"]
    for tag, version in sorted(((dataset.get("spec") or {}).get("tags") or {}).items()):
        tags.setdefault(version, []).append(tag)
    return tags


def _origin(origin: dict[str, Any]) -> str:
    if not origin.get("run"):
        return "gradient dataset put"
    return f"{origin['run']}/{origin.get('job') or ''}".rstrip("/")
