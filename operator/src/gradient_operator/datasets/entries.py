"""One line of a manifest: what an entry is, and its canonical text.

There is exactly one way to write an entry. Reading checks that a line is that one way, so two
manifests of equal trees are equal byte for byte and no second spelling can slip past a rule.

Content lines (JSON, keys sorted, no spaces, UTF-8):
    {"d":"<digest>","p":"<path>","s":<bytes>,"t":"f"}   a file; with "x":1 at the end if executable
    {"p":"<path>","t":"d"}                              a directory
    {"l":"<target>","p":"<path>","t":"l"}               a symbolic link
A path or target that is not UTF-8 stands as base64 in "pb" or "lb".

Locator lines, one for every file that is not empty, in the order of the content lines:
    {"in":"<pack>","o":<offset>}                        a range of a pack
    {"seg":["<digest>",...]}                            whole segments
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.errors import ManifestError
from gradient_operator.datasets.layout import (
    EMPTY_SHA256,
    PACK_BYTES,
    SEGMENT_BYTES,
    TREE_PREFIX,
    is_digest,
    segment_count,
    tree_digest,
)
from gradient_operator.datasets.paths import display, path_problem, target_problem

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_FILE: Final = 2**62
_quote: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode
_parse: Callable[[str], tuple[Any, int]] = json.JSONDecoder().raw_decode
# What nearly all lines look like. Nothing in them needs escaping, so there is no other way to
# write what they say, and JSON need not be read and written again to see that.
_PLAIN_FILE: Final = re.compile(
    rb'\{"d":"([0-9a-f]{64})","p":"([ !#-\[\]-~]+)","s":(0|[1-9][0-9]{0,7}),"t":"f"(,"x":1)?\}\Z'
)
_PLAIN_PACKED: Final = re.compile(rb'\{"in":"([0-9a-f]{64})","o":(0|[1-9][0-9]{0,7})\}\Z')


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file: `size` in bytes, `digest` as in `layout`."""

    path: bytes
    size: int
    digest: str
    executable: bool


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A directory, empty or not."""

    path: bytes


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A symbolic link; the target is data and is never followed."""

    path: bytes
    target: bytes


Entry = FileEntry | DirectoryEntry | LinkEntry


@dataclass(frozen=True, slots=True)
class PackedAt:
    """A file's bytes stand in a pack, from `offset` on."""

    pack: str
    offset: int


@dataclass(frozen=True, slots=True)
class SegmentedAt:
    """A file's bytes are these segments, one after the other."""

    segments: tuple[str, ...]


Locator = PackedAt | SegmentedAt


def encode_entry(entry: Entry) -> bytes:
    """Write the canonical content line of an entry, with its newline."""
    path = _text("p", entry.path)
    if isinstance(entry, FileEntry):
        mark = ',"x":1' if entry.executable else ""
        line = f'{{"d":"{entry.digest}",{path},"s":{entry.size},"t":"f"{mark}}}\n'
    elif isinstance(entry, DirectoryEntry):
        line = f'{{{path},"t":"d"}}\n'
    else:
        line = f'{{{_text("l", entry.target)},{path},"t":"l"}}\n'
    return line.encode()


def decode_entry(line: bytes) -> Entry:
    """Read one content line, without its newline.

    Raises:
        ManifestError: the line is not the canonical text of an acceptable entry.
    """
    plain = _PLAIN_FILE.match(line)
    if plain is not None:
        digest, path, size, mark = plain.groups()
        file = FileEntry(path, int(size), digest.decode(), mark is not None)
        if path_problem(path) is None and _digest_problem(file.digest, file.size) is None:
            return file
    try:
        raw, _ = _parse(line.decode())
        entry = _entry(raw)
        same = encode_entry(entry) == line + b"\n"
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise ManifestError(f"A manifest has a malformed entry: {display(line)}.") from None
    problem = path_problem(entry.path) or _entry_problem(entry)
    if problem:
        raise ManifestError(f"The manifest's entry {display(entry.path)} {problem}.")
    if not same:
        raise ManifestError(f"The manifest's entry {display(entry.path)} is not canonical.")
    return entry


def encode_locator(locator: Locator) -> bytes:
    """Write the canonical locator line, with its newline."""
    if isinstance(locator, PackedAt):
        return f'{{"in":"{locator.pack}","o":{locator.offset}}}\n'.encode()
    return ('{"seg":["' + '","'.join(locator.segments) + '"]}\n').encode()


def decode_locator(line: bytes, entry: FileEntry) -> Locator:
    """Read the locator line of a file that is not empty.

    Raises:
        ManifestError: the line is malformed or cannot belong to this file.
    """
    plain = _PLAIN_PACKED.match(line)
    if plain is not None:
        place = PackedAt(plain[1].decode(), int(plain[2]))
        if place.offset + entry.size <= PACK_BYTES:
            return place
    try:
        raw, _ = _parse(line.decode())
        if "in" in raw:
            packed = PackedAt(raw["in"], raw["o"])
            if _pack_fits(packed, entry):
                return packed
        else:
            segmented = SegmentedAt(tuple(raw["seg"]))
            if _segments_fit(segmented.segments, entry):
                return segmented
    except (ValueError, TypeError, KeyError, RecursionError):
        pass  # told below, with what is readable and does not fit
    raise ManifestError(
        f"The manifest says where {display(entry.path)} stands in a way that cannot be true."
    )


def _text(key: str, value: bytes) -> str:
    try:
        return f'"{key}":{_quote(value.decode())}'
    except UnicodeDecodeError:
        return f'"{key}b":"{base64.b64encode(value).decode()}"'


def _bytes(raw: dict[str, Any], key: str) -> bytes:
    text = raw.get(key)
    if isinstance(text, str):
        return text.encode()
    return base64.b64decode(raw[f"{key}b"], validate=True)


def _entry(raw: Any) -> Entry:
    kind = raw["t"]
    path = _bytes(raw, "p")
    if kind == "f":
        return FileEntry(path, raw["s"], raw["d"], raw.get("x") == 1)
    if kind == "d":
        return DirectoryEntry(path)
    if kind == "l":
        return LinkEntry(path, _bytes(raw, "l"))
    raise ValueError(kind)


def _entry_problem(entry: Entry) -> str | None:
    if isinstance(entry, LinkEntry):
        problem = target_problem(entry.target)
        return f"is a link whose target {problem}" if problem else None
    if isinstance(entry, FileEntry):
        return _size_problem(entry.size) or _digest_problem(entry.digest, entry.size)
    return None


def _size_problem(size: Any) -> str | None:
    fits = type(size) is int and 0 <= size <= LARGEST_FILE
    return None if fits else "has an impossible size"


def _digest_problem(digest: Any, size: int) -> str | None:
    if not isinstance(digest, str) or not is_digest(digest.removeprefix(TREE_PREFIX)):
        return "has a malformed digest"
    is_tree = digest.startswith(TREE_PREFIX)
    if is_tree != (size > SEGMENT_BYTES) or (digest == EMPTY_SHA256) != (size == 0):
        return "has a digest that contradicts its size"
    return None


def _pack_fits(locator: PackedAt, entry: FileEntry) -> bool:
    offset = locator.offset
    return (
        is_digest(locator.pack)
        and type(offset) is int
        and offset >= 0
        and offset + entry.size <= PACK_BYTES
    )


def _segments_fit(segments: tuple[Any, ...], entry: FileEntry) -> bool:
    if len(segments) != segment_count(entry.size) or not all(map(is_digest, segments)):
        return False
    if len(segments) == 1:
        return bool(segments[0] == entry.digest)
    return tree_digest(bytes.fromhex("".join(segments))) == entry.digest
