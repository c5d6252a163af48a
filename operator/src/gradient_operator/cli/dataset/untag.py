"""`gradient dataset untag`."""

from __future__ import annotations

import click

from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options


@click.command(name="untag")
@click.argument("name", metavar="NAME")
@click.argument("tag", metavar="TAG")
@target_options
def command(*, name: str, tag: str, target: Target) -> None:
    """Take a tag away; the version stays."""
    from gradient_operator.cli.cluster import run_async

    version = run_async(_untag(name, tag, target))
    click.echo(f"{tag} meant {name}:{version} and is gone.")


async def _untag(text: str, tag: str, target: Target) -> str:
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.lookup import find_dataset, parse, within
    from gradient_operator.kube.resources import DATASETS

    reference = parse(text)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        dataset = await find_dataset(cluster, reference)
        tags: dict[str, str] = (dataset.get("spec") or {}).get("tags") or {}
        if tag not in tags:
            known = ", ".join(sorted(tags)) or "none"
            raise CommandError(f"Dataset {reference.name!r} has no tag {tag!r}; its tags: {known}.")
        await cluster.client.merge_patch(
            DATASETS,
            {"spec": {"tags": {tag: None}}},
            name=reference.object_name,
            namespace=cluster.namespace,
        )
        return tags[tag]
