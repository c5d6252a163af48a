"""What PyYAML's parser says, in words that tell a person what to change, and where.

The parser names tokens and contexts; whoever wrote the file thinks of lines, indentation, quotes.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import yaml

from gradient_operator.workflow.blocks import EndedBlock, ended_too_early
from gradient_operator.workflow.positions import Position, position_of


@dataclass(frozen=True, slots=True)
class _Hint:
    """What people should do about a message of the parser, and which of its places helps them."""

    says: str
    sentence: str
    at_start: bool = False
    rule: str = "yaml-syntax"


_HINTS: Final = (
    _Hint(
        "mapping values are not allowed",
        "a 'key: value' cannot stand here; check the indentation, and put text that holds ': ' "
        "into quotes",
    ),
    _Hint(
        "could not find expected ':'",
        "this line is no 'key: value'; the lines of a script must be indented deeper than its key, "
        "also those of a heredoc",
        at_start=True,
        rule="script-indent",
    ),
    _Hint(
        "did not find expected key",
        "this line does not fit the lines above it; give it the indentation of its neighbours, "
        "and check that quotes are closed",
    ),
    _Hint(
        "did not find expected '-' indicator",
        "this line is neither an item of the list above nor outside of it; check its indentation",
    ),
    _Hint(
        "expected <block end>",
        "this line does not fit the lines above it; give it the indentation of its neighbours",
    ),
    _Hint(
        "sequence entries are not allowed",
        "an item '- …' cannot stand here; put it on a line of its own, below its key",
    ),
    _Hint(
        "unexpected end of stream",
        "the quote that opens here is never closed; close it",
        at_start=True,
    ),
    _Hint(
        "expected ',' or ",
        "the bracket that opens here is not closed where it should be; close it, or put a comma "
        "between the items",
        at_start=True,
    ),
    _Hint(
        "cannot start any token",
        "text cannot begin with this character; put the text into quotes",
    ),
)


class FileProblem(Exception):
    """The text is no usable Gradient file.

    Attributes:
        source: the name of the file, as it was given.
        line: where, counted from 1.
        column: where in the line, counted from 1 in characters.
        message: what is wrong there and what to do about it, without the place.
        rule: the id of the rule that it breaks.
    """

    def __init__(
        self, message: str, *, source: str, line: int, column: int, rule: str = "yaml-syntax"
    ) -> None:
        super().__init__(f"{source}:{line}:{column}: {message}")
        self.source, self.line, self.column, self.message = source, line, column, message
        self.rule = rule


class Explanation(NamedTuple):
    """A sentence that says what to change, where a person should look, and the broken rule."""

    sentence: str
    position: Position
    rule: str


def explain(error: yaml.MarkedYAMLError, text: str) -> Explanation:
    """Put an error of the parser into words.

    Args:
        error: as the parser raised it, over `text`.
        text: to see what stands at the place.
    """
    problem = error.problem or "it cannot be read"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Explanation(f"this is no YAML: {problem}", Position(1, 1), "yaml-syntax")
    position = position_of(mark)
    lines = text.replace("\r\n", "\n").split("\n")
    failed = position.line - 1
    line = lines[failed] if failed < len(lines) else ""
    if (space := _odd_space(line)) is not None:
        sentence = "a tab in the indentation; YAML wants spaces here"
        if line[space] != "\t":
            sentence = "a space that is none in the indentation; retype it as a plain space"
        return Explanation(sentence, Position(position.line, space + 1), "yaml-tab")
    block = ended_too_early(lines, failed)
    if block is not None:
        return _of_block(block, lines[block.ends])
    hint = next((hint for hint in _HINTS if hint.says in problem), None)
    if hint is None:
        return Explanation(f"this is no YAML: {problem}", position, "yaml-syntax")
    if hint.at_start and error.context_mark is not None:
        position = position_of(error.context_mark)
    return Explanation(hint.sentence, position, hint.rule)


def _odd_space(line: str) -> int | None:
    """Where in the indentation of a line something else than a plain space stands."""
    indentation = line[: len(line) - len(line.lstrip())]
    return next((at for at, each in enumerate(indentation) if each not in " \r\n"), None)


def _of_block(block: EndedBlock, line: str) -> Explanation:
    position = Position(block.ends + 1, len(line) - len(line.lstrip(" ")) + 1)
    if block.heredoc:
        sentence = (
            f"this line ends the script while its heredoc <<{block.heredoc} of line "
            f"{block.opened + 1} is open; indent the heredoc like the script, YAML removes that "
            "again"
        )
    elif line.lstrip().startswith("#"):
        sentence = (
            f"a comment that stands so far left ends the text of line {block.begins + 1}; give "
            "it the indentation of the text"
        )
    else:
        sentence = (
            f"this line ends the text of line {block.begins + 1}, as it stands further left; "
            f"indent it by {block.indentation} spaces"
        )
    return Explanation(sentence, position, "script-indent")
