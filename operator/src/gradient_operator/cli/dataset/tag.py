"""`gradient dataset tag`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from gradient_operator.cli.dataset.lookup import Found


@click.command(name="tag")
@click.argument("reference", metavar="NAME[:VERSION|:TAG]")
@click.argument("tag", metavar="TAG")
@target_options
def command(*, reference: str, tag: str, target: Target) -> None:
    """Give a version a name, as `production`; a tag that exists moves.

    A run takes the version that a tag means when the run starts, and keeps it. The same is said
    in a file by spec.tags of the GradientDataset.
    """
    from gradient_operator.cli.cluster import run_async

    _check(tag)
    found, before = run_async(_tag(reference, tag, target))
    moved = f" It meant {before} before." if before not in {None, found.version} else ""
    click.echo(f"{tag} is now {found.name}.{moved}")


def _check(tag: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from gradient_operator.api.datasets import Tag
    from gradient_operator.workflow.references import is_version_id

    if tag == "latest":
        raise CommandError("'latest' is always the version that came last: take another tag.")
    if is_version_id(tag):
        raise CommandError(f"{tag!r} looks like a version and would hide one: take another tag.")
    try:
        TypeAdapter(Tag).validate_python(tag)
    except ValidationError:
        raise CommandError(
            f"{tag!r} is no tag: take up to 63 letters, digits, '-', '_' and '.', beginning with a "
            "letter or digit."
        ) from None


async def _tag(text: str, tag: str, target: Target) -> tuple[Found, str | None]:
    """The version, and what the tag meant before."""
    from gradient_operator.cli.cluster import connect
    from gradient_operator.cli.dataset.lookup import find_version, parse, within
    from gradient_operator.kube.resources import DATASETS

    reference = parse(text)
    async with connect(target) as connected:
        cluster = within(connected, reference)
        found = await find_version(cluster, reference)
        before = ((found.dataset.get("spec") or {}).get("tags") or {}).get(tag)
        await cluster.client.merge_patch(
            DATASETS,
            {"spec": {"tags": {tag: found.version}}},
            name=reference.object_name,
            namespace=cluster.namespace,
        )
        return found, before
