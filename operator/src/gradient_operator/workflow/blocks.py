"""Finds where a text that begins with `|` or `>` ended, when the reader fails further down.

That a line further left ends the text is the most frequent reason why a file is no YAML: of a
heredoc, a pasted program, a comment. The parser notices lines later, and blames those.
"""

import re
from dataclasses import dataclass
from typing import Final

from gradient_operator.workflow.heredocs import unclosed

_HEADER: Final = re.compile(
    r"^(?P<indent> *(?:- +)*)(?:(?P<key>[^ #].*): +|(?<=- ) *)[|>][-+1-9]{0,2}[ \t]*(?:#.*)?\r?$"
)
_KEY: Final = re.compile(r"^ *(?:- +)*(?:[\w.$/-]+|\"[^\"]*\"|'[^']*') *:(?:\s|$)|^ *- ")
_MARKS: Final = tuple(f"{mark}{sign}" for mark in "|>" for sign in ("", *"-+123456789"))
"""What a line ends with that begins a text, comments and rarities aside."""


@dataclass(frozen=True, slots=True)
class EndedBlock:
    """A text and the line that ended it; lines are counted from 0."""

    begins: int
    ends: int
    indentation: int
    """Of the text's own lines."""
    heredoc: str = ""
    """The word of a heredoc that was open when the text ended."""
    opened: int = 0
    """Where that heredoc opens."""


def ended_too_early(lines: list[str], failed: int) -> EndedBlock | None:
    """The text above the line `failed` whose end is most likely the mistake."""
    found: EndedBlock | None = None
    at = 0
    while at <= failed and at < len(lines):
        block = _block(lines, at) if lines[at].rstrip().endswith(_MARKS) else None
        if block is None:
            at += 1
            continue
        found = block if block.ends <= failed else None
        at = block.ends
    if found is None or found.ends >= len(lines):
        return None
    return _blamed(found, lines, failed)


def _block(lines: list[str], at: int) -> EndedBlock | None:
    match = _HEADER.match(lines[at])
    if match is None:
        return None
    parent = len(match["indent"]) if match["key"] else len(match["indent"].rstrip("- "))
    indentation = 0
    for number in range(at + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        own = len(line) - len(line.lstrip(" "))
        indentation = indentation or max(own, parent + 1)
        if own < indentation:
            return EndedBlock(at, number, indentation)
    return EndedBlock(at, len(lines), indentation)


def _blamed(block: EndedBlock, lines: list[str], failed: int) -> EndedBlock | None:
    """The block, if what ended it is no key; a heredoc that stood open explains even a key."""
    inside = [line[block.indentation :] for line in lines[block.begins + 1 : block.ends]]
    heredoc = unclosed("\n".join(inside))
    if heredoc is not None:
        closes = any(line.strip() == heredoc.word for line in lines[block.ends : failed + 1])
        if closes or not _KEY.match(lines[block.ends]):
            opened = block.begins + 1 + heredoc.line
            return EndedBlock(block.begins, block.ends, block.indentation, heredoc.word, opened)
    return None if _KEY.match(lines[block.ends]) else block
