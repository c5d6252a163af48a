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
    """List the versions of a dataset, newest first, and what made each of them."""
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.cli.output.console import make_console

    dataset, versions = run_async(_list(name, target))
    make_console().print(versions_table(dataset, versions, time.time()))


async def _list(name: str, target: Target) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.catalog import find_dataset, list_versions, parse, within

    reference = parse(name)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        dataset = await find_dataset(cluster, reference)
        return dataset, await list_versions(cluster, reference.object_name)


def versions_table(dataset: dict[str, Any], versions: list[dict[str, Any]], now: float) -> Table:
    """Versions with size, age, origin, tags and message; `latest` is a tag here."""
    from gradient_operator.api.times import parse_time
    from gradient_operator.cli.output.console import cell, safe
    from gradient_operator.cli.output.run_tables import plain_table
    from gradient_operator.cli.output.text import ago, size

    tags: dict[str, list[str]] = {}
    latest = ((dataset.get("status") or {}).get("latest") or {}).get("version")
    if latest:
        tags[latest] = ["latest"]
    for tag, version in sorted(((dataset.get("spec") or {}).get("tags") or {}).items()):
        tags.setdefault(version, []).append(tag)
    table = plain_table("version", "size", "files", "created", "made by", "tags", "message")
    for item in versions:
        spec = item["spec"]
        table.add_row(
            spec["version"],
            size(spec["bytes"]),
            str(spec["files"]),
            ago(parse_time(item["metadata"].get("creationTimestamp")), now),
            safe(_origin(spec.get("origin") or {})),
            safe(", ".join(tags.get(spec["version"], ()))),
            cell(spec.get("message") or ""),
        )
    return table


def _origin(origin: dict[str, Any]) -> str:
    if not origin.get("run"):
        return "gradient dataset put"
    return f"{origin['run']}/{origin.get('job') or ''}".rstrip("/")
