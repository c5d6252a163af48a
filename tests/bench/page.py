"""The page of the documentation with all figures: two parts, each written by its own command.

A call measures some of the loads, or some of the rows of one: it writes what it measured, and
leaves what earlier calls found. So every section says itself when and from what it was made.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.bench.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE: Final = ROOT / "docs" / "benchmarks.md"
OPERATOR: Final = 0
DATA: Final = 1
_BORDER: Final = "<!-- Generated from here on by: python -m tests.bench.data --write -->\n"
_HEADING: Final = re.compile(r"^## (?=\S)", re.MULTILINE)


def write_part(
    number: int, introduction: str, sections: Sequence[str], *, order: Sequence[str]
) -> None:
    """Write sections of one part of the page, and its introduction; all else stays.

    A section begins with `## KEY: title`; `order` has the keys as they follow each other. Sections
    with other keys are of loads that are gone, and go too.
    """
    text = PAGE.read_text() if PAGE.exists() else ""
    parts = list(text.partition(_BORDER)[::2])
    kept = {_key(section): section for section in _sections(parts[number])}
    new = {_key(section): section for section in sections}
    chosen = [
        merged(kept.get(key, ""), new[key]) if key in new else kept[key]
        for key in order
        if key in kept or key in new
    ]
    parts[number] = "\n\n".join(part.strip() for part in (introduction, *chosen))
    PAGE.write_text(_BORDER.join(f"{part.strip()}\n\n" for part in parts).rstrip("\n") + "\n")


def merged(old: str, new: str) -> str:
    """The new section, with the rows of the old table that the new one lacks.

    Rows are told by their first cell; they stay only in a table with the same head, which has a
    column that says when each row was measured.
    """
    before, lines = _rows(old), new.splitlines()
    table = _rows(new)
    if not table or not before or before[0] != table[0] or table[0][-1] != "measured":
        return new
    known = {row[0] for row in table}
    rows = [*table, *(row for row in before[1:] if row[0] not in known)]
    at = next(place for place, line in enumerate(lines) if line.startswith("|"))
    rest = [line for line in lines if not line.startswith("|")]
    return "\n".join([*rest[:at], aligned(rows), *rest[at:]])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table that reads as text too; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if not set("".join(row)) <= {"-", ":"}]


def _sections(part: str) -> Iterator[str]:
    starts = [found.start() for found in _HEADING.finditer(part)]
    for start, end in pairwise([*starts, len(part)]):
        yield part[start:end].strip()


def _key(section: str) -> str:
    return section.partition("\n")[0].removeprefix("## ").partition(":")[0].strip()
