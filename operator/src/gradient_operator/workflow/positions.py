"""Where the parts of a file stand in its text."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

PathItem = str | int
Path = tuple[PathItem, ...]


class Position(NamedTuple):
    """A place in the text, both counted from 1; the column in characters."""

    line: int
    column: int


class Span(NamedTuple):
    """A part of the text; the end is the place behind its last character.

    Of what goes over several lines, a block of keys or of text, it is the empty span at its start.
    """

    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def start(self) -> Position:
        """Where it begins."""
        return Position(self.line, self.column)


def position_of(mark: Any) -> Position:
    """The place of a mark of PyYAML."""
    return Position(mark.line + 1, mark.column + 1)


def span_of(event: Any) -> Span:
    """The place of the value that an event of PyYAML begins."""
    start, end = event.start_mark, event.end_mark
    if end.line != start.line or not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
        end = start
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place, the places of its keys, and what it costs to write it out."""

    value: Any
    span: Span
    children: "dict[PathItem, Node]" = field(default_factory=dict)
    keys: dict[str, Span] = field(default_factory=dict)
    nodes: int = 1
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Positions:
    """Where keys and values stand, by paths such as `("jobs", "train", "needs", 0)`."""

    _root: Node

    def at(self, path: Path) -> Position:
        """The place of the value at `path`; if there is none, of the nearest part that exists."""
        return self._walk(path)[-1].span.start

    def span_at(self, path: Path) -> Span:
        """The part of the text that holds the value at `path`.

        If there is none: the key of the nearest part that exists.
        """
        nodes = self._walk(path)
        if len(nodes) == len(path) + 1:
            return nodes[-1].span
        return self.key_span_at(path[: len(nodes) - 1])

    def key_span_at(self, path: Path) -> Span:
        """The part of the text that holds the key that `path` ends with, else the value there.

        For an item of a list that is the item itself.
        """
        nodes = self._walk(path)
        if path and len(nodes) == len(path) + 1:
            return nodes[-2].keys.get(str(path[-1]), nodes[-1].span)
        return nodes[-1].span

    def __contains__(self, path: Path) -> bool:
        return len(self._walk(path)) == len(path) + 1

    def _walk(self, path: Path) -> list[Node]:
        nodes = [self._root]
        for item in path:
            child = nodes[-1].children.get(item)
            if child is None:
                break
            nodes.append(child)
        return nodes
