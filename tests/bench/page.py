"""The page of the documentation with all figures: two parts, each written by its own command."""

from __future__ import annotations

from typing import Final

from tests.bench.machine import ROOT

PAGE: Final = ROOT / "docs" / "benchmarks.md"
OPERATOR: Final = 0
DATA: Final = 1
_BORDER: Final = "<!-- Generated from here on by: python -m tests.bench.data --write -->\n"


def write_part(number: int, text: str) -> None:
    """Write one part of the page anew and leave the other as it is."""
    parts = PAGE.read_text().partition(_BORDER)[::2]
    written = [text if place == number else parts[place] for place in (OPERATOR, DATA)]
    PAGE.write_text(_BORDER.join(f"{part.strip()}\n\n" for part in written).rstrip("\n") + "\n")
