"""Consoles of rich that fit every place: a terminal, a pipe, a file, a CI log.

Nothing here interprets markup: names and messages come from users and may hold brackets.
"""

import os
import re
from typing import IO, Any, Final

from rich.console import Console, RenderableType
from rich.text import Text

PIPE_WIDTH: Final = 200
"""Columns where there is no terminal: wide enough that nothing is cut that a script may want."""

_CONTROLS: Final = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "�")
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def make_console(file: IO[str] | None = None, *, stderr: bool = False) -> Console:
    """A console for standard output, standard error, or `file`; NO_COLOR and COLUMNS count."""
    options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(file=file, stderr=stderr, **options)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return console
    return Console(file=file, stderr=stderr, width=PIPE_WIDTH, **options)


def emit(console: Console, content: RenderableType) -> None:
    """Print; into a pipe without the spaces that fill up the lines of tables."""
    if console.is_terminal:
        console.print(content)
        return
    with console.capture() as captured:
        console.print(content)
    lines = captured.get().splitlines()
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))


def safe(text: str, style: str = "") -> Text:
    """Text from outside, without what would steer the terminal."""
    return Text(_ESCAPES.sub("", text).translate(_CONTROLS), style=style)
