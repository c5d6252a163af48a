"""Reads the text of a Gradient file: plain data, and where in the text each part of it stands.

PyYAML alone would do three things wrong here. It reads the bare key `on` as `true`; it forgets line
and column, which every later message needs; and it follows aliases and nesting without bound, which
a file from outside may use against the reader. So this module builds the data from PyYAML's events
itself: keys are the text as written, dates stay text (as for kubectl), numbers and booleans are
YAML 1.1's, and every size is bounded. It knows nothing of what the keys mean, and does no I/O.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, NoReturn

import yaml

from gradient_operator.workflow.positions import (
    Node,
    PathItem,
    Position,
    Positions,
    Span,
    position_of,
    span_of,
)
from gradient_operator.workflow.scalars import TAG, TYPES, construct, resolve
from gradient_operator.workflow.yaml_errors import FileProblem, explain

__all__ = ["FileProblem", "LoadedFile", "Position", "Positions", "decode", "load"]

MAX_BYTES: Final = 1_048_576
"""Of the text: the API server takes no larger object anyway (etcd holds 1.5 MiB)."""
MAX_DEPTH: Final = 64
MAX_NODES: Final = 262_144
"""Keys, values and items, counted again at every alias that repeats them."""
MAX_EXPANDED: Final = 4 * MAX_BYTES
"""Characters of all keys and values, counted again at every alias that repeats them."""

_COLLECTIONS: Final = frozenset((None, "!", f"{TAG}map", f"{TAG}seq"))
_MERGE: Final = "<<"
_BLOCKS: Final = frozenset({"on", "defaults", "inputs", "jobs"})
"""What stands twice at the top when two workflows were put into one file."""
_SHOWN: Final = 40
"""Characters of a value that a message repeats."""
_INT64: Final = range(-(2**63), 2**63)
_UNPRINTABLE: Final = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_PARSER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The content of a Gradient file, and where it stands in the text."""

    source: str
    data: dict[str, Any]
    positions: Positions
    begins: Position
    """Where its document begins: at the `---`, if there is one."""


def decode(raw: bytes, *, source: str) -> str:
    """The text of a file's bytes.

    Raises:
        FileProblem: it is larger than `MAX_BYTES`, or not UTF-8.
    """
    _check_size(len(raw), source)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        line, column = _place(before, len(before))
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            message = "the file is UTF-16; save it as UTF-8"
        else:
            message = "this byte is not UTF-8 text; save the file as UTF-8"
        raise FileProblem(
            message, source=source, line=line, column=column, rule="not-text"
        ) from None


def load(text: str, *, source: str) -> LoadedFile:
    """Read the text of a Gradient file, which is one document.

    Raises:
        FileProblem: as `load_all` has it; or it holds a second document.
    """
    documents = load_all(text, source=source)
    first = next(documents)
    for second in documents:
        raise second_document(second)
    return first


def second_document(document: "LoadedFile") -> FileProblem:
    """What is wrong with a document that stands where there should be no further one."""
    line, column = document.begins
    message = "a second document begins here; a Gradient file holds one: remove the '---'"
    source = document.source
    return FileProblem(message, source=source, line=line, column=column, rule="several-documents")


def load_all(text: str, *, source: str) -> "Iterator[LoadedFile]":
    """Read the documents of a text one by one; those without any content are left out.

    Args:
        text: as decoded; lines may end with LF or CRLF, a byte order mark may come first.
        source: the name of the file, for messages.

    Raises:
        FileProblem: it is no YAML, has no content, a document is no mapping or holds a key
            twice, or it exceeds a bound.
    """
    _check_size(len(text.encode("utf-8", "surrogatepass")), source)
    text = text.removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        line, column = _place(text, found.start())
        message = (
            f"the character U+{ord(found[0]):04X} is not allowed here; "
            "is this a text file? Remove the character"
        )
        raise FileProblem(message, source=source, line=line, column=column, rule="not-text")
    for root, begins in _Builder(text, source).documents():
        yield LoadedFile(source, root.value, Positions(root), begins)


def _check_size(size: int, source: str) -> None:
    if size > MAX_BYTES:
        message = (
            f"the file has {size} bytes, the limit is {MAX_BYTES}; "
            "put long scripts into the repository or the image"
        )
        raise FileProblem(message, source=source, line=1, column=1, rule="too-large")


def _place(text: str, index: int) -> Position:
    start = text.rfind("\n", 0, index) + 1
    return Position(text.count("\n", 0, index) + 1, index - start + 1)


class _Builder:
    """Makes nodes from the events of one text; the first problem ends it."""

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source
        self._events = self._read()
        self._anchors: dict[str, Node | None] = {}
        """None while the node is being built: an alias to it would be endless."""
        self._nodes = self._characters = 0

    def documents(self) -> Iterator[tuple[Node, Position]]:
        """The documents of the text, each a mapping, and where they begin."""
        next(self._events)  # start of the stream
        found = False
        while not isinstance(event := next(self._events), yaml.StreamEndEvent):
            self._anchors.clear()
            root = self._node(next(self._events), 0)
            next(self._events)  # end of the document
            if root.value is None:
                continue
            if not isinstance(root.value, dict):
                message = (
                    "a file must hold keys and values, at least 'jobs'; is it a Gradient file?"
                )
                self._fail(message, root.span.start, "not-a-workflow")
            found = True
            yield root, position_of(event.start_mark)
        if not found:
            message = "the file is empty; a Gradient file holds at least 'jobs'"
            self._fail(message, Position(1, 1), "not-a-workflow")

    def _read(self) -> Iterator[Any]:
        parser = _PARSER(self._text)
        try:
            while parser.check_event():
                yield parser.get_event()
        except yaml.MarkedYAMLError as error:
            self._fail(*explain(error, self._text))
        finally:
            parser.dispose()

    def _node(self, event: Any, depth: int) -> Node:
        span = span_of(event)
        position = span.start
        if depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels inside each other; make it flat"
            self._fail(message, position, "too-large")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), span)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, span)
        elif event.tag not in _COLLECTIONS:
            node = self._fail_tag(event.tag, position)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(span, depth)
        else:
            node = self._mapping(span, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, span: Span) -> Node:
        position = span.start
        if anchor not in self._anchors:
            message = f"'*{anchor}' repeats what '&{anchor}' marks above, but there is no such mark"
            self._fail(message, position, "bad-alias")
        node = self._anchors[anchor]
        if node is None:
            message = f"'*{anchor}' stands inside what it repeats: that never ends"
            self._fail(message, position, "bad-alias")
        self._charge(node.nodes, node.characters, position)
        return replace(node, span=span)

    def _scalar(self, event: Any, span: Span) -> Node:
        self._charge(1, len(event.value), span.start)
        value = self._value(event, span.start)
        return Node(value, span, characters=len(event.value))

    def _value(self, event: Any, position: Position) -> str | int | float | bool | None:
        text: str = event.value
        if event.tag is None:
            tag = resolve(text) if event.implicit[0] else f"{TAG}str"
        elif event.tag == "!":
            tag = f"{TAG}str"
        elif event.tag in TYPES:
            tag = event.tag
        else:
            self._fail_tag(event.tag, position)
        try:
            value = construct(tag, text)
        except (ValueError, KeyError, IndexError):
            kind = tag.removeprefix(TAG)
            message = f"{_short(text)} cannot be read as {kind}; quotes make it a string"
            self._fail(message, position, "bad-number")
        if (isinstance(value, int) and value not in _INT64) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            message = f"the number {_short(text)} is out of range; quotes make it a string"
            self._fail(message, position, "bad-number")
        return value

    def _sequence(self, span: Span, depth: int) -> Node:
        self._charge(1, 0, span.start)
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Node(
            [item.value for item in items],
            span,
            children=dict(enumerate(items)),
            nodes=1 + sum(item.nodes for item in items),
            characters=sum(item.characters for item in items),
        )

    def _mapping(self, span: Span, depth: int) -> Node:
        self._charge(1, 0, span.start)
        own: dict[PathItem, Node] = {}
        keys: dict[str, Span] = {}
        merged: list[Node] = []
        cost = _Cost(1, 0)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, place = self._key(event), span_of(event)
            self._charge(1, len(key), place.start)
            if key in keys:
                self._fail_twice(key, keys[key], place, depth)
            keys[key] = place
            node = self._node(next(self._events), depth + 1)
            cost = _Cost(cost.nodes + node.nodes + 1, cost.characters + node.characters + len(key))
            if key == _MERGE and event.implicit[0]:
                merged = self._merged(node)
            else:
                own[key] = node
        children: dict[PathItem, Node] = {}
        for source in merged:
            for name, child in source.children.items():
                children.setdefault(name, child)
                keys.setdefault(str(name), source.keys[str(name)])
        children.update(own)
        data = {name: child.value for name, child in children.items()}
        return Node(data, span, children, keys, cost.nodes, cost.characters)

    def _key(self, event: Any) -> str:
        """The key's text as written, so that `on` and `NO` stay what people wrote."""
        if not isinstance(event, yaml.ScalarEvent):
            message = "a key must be a word; if this is text with a bracket, put it into quotes"
            self._fail(message, position_of(event.start_mark), "complex-key")
        key: str = event.value
        return key

    def _merged(self, node: Node) -> list[Node]:
        """The mappings that `<<` brings in, the strongest first."""
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        for source in sources:
            if not isinstance(source.value, dict):
                message = "'<<' takes the alias of a mapping, as '<<: *name'"
                self._fail(message, source.span.start, "bad-alias")
        return sources

    def _charge(self, nodes: int, characters: int, position: Position) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES or self._characters > MAX_EXPANDED:
            message = (
                f"with its aliases written out the file is too large (limits: {MAX_NODES} keys "
                f"and values, {MAX_EXPANDED} characters); shorten it"
            )
            self._fail(message, position, "too-large")

    def _fail_twice(self, key: str, first: Span, second: Span, depth: int) -> NoReturn:
        message = f"the key {_short(key)} stands twice, first in line {first.line}"
        if depth == 0 and key in _BLOCKS:
            message += "; are these two workflows? Put each into a file of its own"
            self._fail(message, second.start, "two-workflows")
        self._fail(f"{message}; remove one of them", second.start, "duplicate-key")

    def _fail_tag(self, tag: str, position: Position) -> NoReturn:
        shown = tag.replace(TAG, "!!")
        self._fail(f"the tag {_short(shown)} is not known here; remove it", position, "unknown-tag")

    def _fail(self, message: str, position: Position, rule: str) -> NoReturn:
        raise FileProblem(
            message, source=self._source, line=position.line, column=position.column, rule=rule
        ) from None


class _Cost(NamedTuple):
    """What it takes to write a node out."""

    nodes: int
    characters: int


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
