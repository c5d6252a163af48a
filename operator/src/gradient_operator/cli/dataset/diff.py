"""`gradient dataset diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gradient_operator.cli.dataset.access import endpoint_option, open_store
from gradient_operator.cli.dataset.files import locate, shown_path
from gradient_operator.cli.options import Target, target_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.compare import Difference
    from gradient_operator.datasets.entries import Entry


@click.command(name="diff")
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@endpoint_option
@target_options
def command(*, before: str, after: str, endpoint: str | None, target: Target) -> None:
    """Show which files differ between two versions, as NAME:VERSION NAME:TAG.

    `+` was added, `-` removed, `~` changed. Only the lists of files are read, not the files.
    """
    from gradient_operator.cli.cluster import run_async
    from gradient_operator.datasets.compare import compare
    from gradient_operator.datasets.manifest import ManifestReader

    old, old_storage = run_async(locate(before, target))
    new, new_storage = run_async(locate(after, target))
    with (
        open_store(old_storage, endpoint=endpoint, target=target) as old_store,
        ManifestReader.fetch(old_store, old.digest) as old_manifest,
        open_store(new_storage, endpoint=endpoint, target=target) as new_store,
        ManifestReader.fetch(new_store, new.digest) as new_manifest,
    ):
        count = Count()
        for line in lines(compare(old_manifest, new_manifest), count):
            click.echo(line)
    click.echo(f"{old.name} -> {new.name}: {count}", err=True)


@dataclass(slots=True)
class Count:
    """How many files differ, and by how many bytes the version grew."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    grown: int = 0

    def __str__(self) -> str:
        from gradient_operator.cli.output.text import size

        if not (self.added or self.removed or self.changed):
            return "no difference"
        sign = "-" if self.grown < 0 else "+"
        return (
            f"{self.added} added, {self.removed} removed, {self.changed} changed, "
            f"{sign}{size(abs(self.grown))}"
        )


def lines(differences: Iterator[Difference], count: Count) -> Iterator[str]:
    """One line per difference; `count` is complete after the last."""
    for found in differences:
        count.grown += _size(found.after) - _size(found.before)
        if found.before is None:
            count.added += 1
            mark, text = "+", _text(found.after)
        elif found.after is None:
            count.removed += 1
            mark, text = "-", _text(found.before)
        else:
            count.changed += 1
            mark, text = "~", f"{_text(found.before)} -> {_text(found.after)}"
        yield f"{mark} {text:>24}  {shown_path(found.path)}"


def _size(entry: Entry | None) -> int:
    from gradient_operator.datasets.entries import FileEntry

    return entry.size if isinstance(entry, FileEntry) else 0


def _text(entry: Entry | None) -> str:
    from gradient_operator.cli.output.text import size
    from gradient_operator.datasets.entries import DirectoryEntry, FileEntry

    if isinstance(entry, FileEntry):
        return f"{size(entry.size)}{' x' if entry.executable else ''}"
    return "directory" if isinstance(entry, DirectoryEntry) else "link"
