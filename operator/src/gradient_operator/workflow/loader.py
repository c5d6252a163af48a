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
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from gradient_operator.workflow.yaml_errors import FileProblem, Position, explain, position_of

__all__ = ["FileProblem", "LoadedFile", "Position", "Positions", "decode", "load"]

MAX_BYTES: Final = 1_048_576
"""Of the text: the API server takes no larger object anyway (etcd holds 1.5 MiB)."""
MAX_DEPTH: Final = 64
MAX_NODES: Final = 262_144
"""Keys, values and items, counted again at every alias that repeats them."""
MAX_EXPANDED: Final = 4 * MAX_BYTES
"""Characters of all keys and values, counted again at every alias that repeats them."""

PathItem = str | int
Path = tuple[PathItem, ...]

_TAG: Final = "tag:yaml.org,2002:"
_TYPES: Final = frozenset(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null"))
_COLLECTIONS: Final = frozenset((None, "!", f"{_TAG}map", f"{_TAG}seq"))
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
_RESOLVERS: Final = Resolver.yaml_implicit_resolvers
_CONSTRUCTOR: Final = SafeConstructor()


@dataclass(frozen=True, slots=True)
class _Node:
    """A value with its place, the places of its keys, and what it costs to write it out."""

    value: Any
    position: Position
    children: "dict[PathItem, _Node]" = field(default_factory=dict)
    keys: dict[str, Position] = field(default_factory=dict)
    nodes: int = 1
    characters: int = 0


@dataclass(frozen=True, slots=True)
class Positions:
    """Where keys and values stand, by paths such as `("jobs", "train", "needs", 0)`."""

    _root: _Node

    def at(self, path: Path) -> Position:
        """The place of the value at `path`; if there is none, of the nearest part that exists."""
        return self._walk(path)[-1].position

    def key_at(self, path: Path) -> Position:
        """The place of the key that `path` ends with, else as `at` has it.

        For an item of a list that is the item itself.
        """
        nodes = self._walk(path)
        if path and len(nodes) == len(path) + 1:
            return nodes[-2].keys.get(str(path[-1]), nodes[-1].position)
        return nodes[-1].position

    def __contains__(self, path: Path) -> bool:
        return len(self._walk(path)) == len(path) + 1

    def _walk(self, path: Path) -> list[_Node]:
        nodes = [self._root]
        for item in path:
            child = nodes[-1].children.get(item)
            if child is None:
                break
            nodes.append(child)
        return nodes


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The content of a Gradient file, and where it stands in the text."""

    source: str
    data: dict[str, Any]
    positions: Positions


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
    """Read the text of a Gradient file.

    Args:
        text: as decoded; lines may end with LF or CRLF, a byte order mark may come first.
        source: the name of the file, for messages.

    Raises:
        FileProblem: it is no YAML, not a mapping, holds a key twice, or exceeds a bound.
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
    root = _Builder(text, source).document()
    return LoadedFile(source=source, data=root.value, positions=Positions(root))


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
        self._anchors: dict[str, _Node | None] = {}
        """None while the node is being built: an alias to it would be endless."""
        self._nodes = self._characters = 0

    def document(self) -> _Node:
        """The one document of the text, a mapping."""
        next(self._events)  # start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            message = "the file is empty; a Gradient file holds at least 'jobs'"
            self._fail(message, Position(1, 1), "not-a-workflow")
        root = self._node(next(self._events), 0)
        if not isinstance(root.value, dict):
            message = "the file must hold keys and values, at least 'jobs'; is it a Gradient file?"
            self._fail(message, root.position, "not-a-workflow")
        next(self._events)  # end of the document
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            message = "a second document begins here; a Gradient file holds one: remove the '---'"
            self._fail(message, position_of(extra.start_mark), "several-documents")
        return root

    def _read(self) -> Iterator[Any]:
        parser = _PARSER(self._text)
        try:
            while parser.check_event():
                yield parser.get_event()
        except yaml.MarkedYAMLError as error:
            self._fail(*explain(error, self._text))
        finally:
            parser.dispose()

    def _node(self, event: Any, depth: int) -> _Node:
        position = position_of(event.start_mark)
        if depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels inside each other; make it flat"
            self._fail(message, position, "too-large")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), position)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, position)
        elif event.tag not in _COLLECTIONS:
            node = self._fail_tag(event.tag, position)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(position, depth)
        else:
            node = self._mapping(position, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, anchor: str, position: Position) -> _Node:
        if anchor not in self._anchors:
            message = f"'*{anchor}' repeats what '&{anchor}' marks above, but there is no such mark"
            self._fail(message, position, "bad-alias")
        node = self._anchors[anchor]
        if node is None:
            message = f"'*{anchor}' stands inside what it repeats: that never ends"
            self._fail(message, position, "bad-alias")
        self._charge(node.nodes, node.characters, position)
        return replace(node, position=position)

    def _scalar(self, event: Any, position: Position) -> _Node:
        self._charge(1, len(event.value), position)
        value = self._value(event, position)
        return _Node(value, position, characters=len(event.value))

    def _value(self, event: Any, position: Position) -> str | int | float | bool | None:
        text: str = event.value
        if event.tag is None:
            tag = _resolve(text) if event.implicit[0] else f"{_TAG}str"
        elif event.tag == "!":
            tag = f"{_TAG}str"
        elif event.tag in _TYPES:
            tag = event.tag
        else:
            self._fail_tag(event.tag, position)
        try:
            value = _construct(tag, text)
        except (ValueError, KeyError, IndexError):
            kind = tag.removeprefix(_TAG)
            message = f"{_short(text)} cannot be read as {kind}; quotes make it a string"
            self._fail(message, position, "bad-number")
        if (isinstance(value, int) and value not in _INT64) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            message = f"the number {_short(text)} is out of range; quotes make it a string"
            self._fail(message, position, "bad-number")
        return value

    def _sequence(self, position: Position, depth: int) -> _Node:
        self._charge(1, 0, position)
        items: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return _Node(
            [item.value for item in items],
            position,
            children=dict(enumerate(items)),
            nodes=1 + sum(item.nodes for item in items),
            characters=sum(item.characters for item in items),
        )

    def _mapping(self, position: Position, depth: int) -> _Node:
        self._charge(1, 0, position)
        own: dict[PathItem, _Node] = {}
        keys: dict[str, Position] = {}
        merged: list[_Node] = []
        cost = _Cost(1, 0)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, place = self._key(event), position_of(event.start_mark)
            self._charge(1, len(key), place)
            if key in keys:
                self._fail_twice(key, keys[key], place, depth)
            keys[key] = place
            node = self._node(next(self._events), depth + 1)
            cost = _Cost(cost.nodes + node.nodes + 1, cost.characters + node.characters + len(key))
            if key == _MERGE and event.implicit[0]:
                merged = self._merged(node)
            else:
                own[key] = node
        children: dict[PathItem, _Node] = {}
        for source in merged:
            for name, child in source.children.items():
                children.setdefault(name, child)
                keys.setdefault(str(name), source.keys[str(name)])
        children.update(own)
        data = {name: child.value for name, child in children.items()}
        return _Node(data, position, children, keys, cost.nodes, cost.characters)

    def _key(self, event: Any) -> str:
        """The key's text as written, so that `on` and `NO` stay what people wrote."""
        if not isinstance(event, yaml.ScalarEvent):
            message = "a key must be a word; if this is text with a bracket, put it into quotes"
            self._fail(message, position_of(event.start_mark), "complex-key")
        key: str = event.value
        return key

    def _merged(self, node: _Node) -> list[_Node]:
        """The mappings that `<<` brings in, the strongest first."""
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        for source in sources:
            if not isinstance(source.value, dict):
                message = "'<<' takes the alias of a mapping, as '<<: *name'"
                self._fail(message, source.position, "bad-alias")
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

    def _fail_twice(self, key: str, first: Position, second: Position, depth: int) -> NoReturn:
        message = f"the key {_short(key)} stands twice, first in line {first.line}"
        if depth == 0 and key in _BLOCKS:
            message += "; are these two workflows? Put each into a file of its own"
            self._fail(message, second, "two-workflows")
        self._fail(f"{message}; remove one of them", second, "duplicate-key")

    def _fail_tag(self, tag: str, position: Position) -> NoReturn:
        shown = tag.replace(_TAG, "!!")
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


def _resolve(text: str) -> str:
    """The type of an unquoted scalar; dates and numbers to base 60 stay text, as for kubectl."""
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            known = tag in _TYPES and ":" not in text
            return str(tag) if known else f"{_TAG}str"
    return f"{_TAG}str"


def _construct(tag: str, text: str) -> str | int | float | bool | None:
    """The value of a scalar; ValueError, KeyError or IndexError when the text is no such value."""
    node = yaml.ScalarNode(tag, text)
    match tag.removeprefix(_TAG):
        case "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node))
        case "float":
            return float(_CONSTRUCTOR.construct_yaml_float(node))
        case "bool":
            return bool(_CONSTRUCTOR.construct_yaml_bool(node))
        case "null":
            return None
        case _:
            return text
