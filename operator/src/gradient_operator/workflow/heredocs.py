"""Finds heredocs: texts inside a script that end at a line of their own (`cat <<EOF … EOF`)."""

import re
from dataclasses import dataclass
from typing import Final

_OPENS: Final = re.compile(
    r"(?<![<(\w])<<(?P<dash>-?)[ \t]*(?:(?P<quote>['\"])(?P<quoted>[A-Za-z_]\w{0,60})(?P=quote)"
    r"|\\?(?P<word>[A-Z_][A-Z0-9_]{0,60})(?![\w(]))"
)
"""Unquoted words in upper case only: `1 << n` and `cout << x` are no heredocs."""


@dataclass(frozen=True, slots=True)
class Heredoc:
    """One that is not closed."""

    word: str
    line: int
    """Where it opens, counted from 0."""
    nearly: int | None
    """The first line that holds the word, but not at its beginning or not alone."""


def unclosed(text: str) -> Heredoc | None:
    """The first heredoc of a text that no line ends, read as a shell reads it."""
    opened: tuple[str, bool, int] | None = None
    nearly: int | None = None
    for number, line in enumerate(text.split("\n")):
        if opened is None:
            nothing = line.lstrip().startswith("#") or "((" in line
            match = None if nothing else _OPENS.search(line)
            if match is not None:
                opened = match["quoted"] or match["word"], bool(match["dash"]), number
                nearly = None
            continue
        word, dashed, _ = opened
        if (line.lstrip("\t") if dashed else line) == word:
            opened = None
        elif nearly is None and line.strip() == word:
            nearly = number
    return Heredoc(opened[0], opened[2], nearly) if opened else None
