from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.entries import (
    FileEntry,
    decode_entry,
    decode_locator,
    encode_entry,
)
from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    LocalDiskError,
    ManifestError,
    ResultError,
)
from gradient_operator.datasets.layout import SEGMENT_BYTES, manifest_key
from gradient_operator.datasets.manifest import HEADER, ManifestReader
from gradient_operator.datasets.paths import path_problem
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.result import decode_message, decode_result
from gradient_operator.datasets.store import BlobStore
from tests.unit.datasets.trees import make_tree, read_tree

DIGEST = hashlib.sha256(b"abc").hexdigest()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["p", "pb", "t", "d", "s", "l", "lb", "x", "in", "o", "seg"]), inner
        )
    ),
    max_leaves=8,
)
EVIL_PATHS = st.sampled_from(
    ["../x", "/x", "a/../../x", "a", "a/b", "a//b", "./a", "a/.", "", "a\0b", "link/x", "link", "b"]
)


def hostile_store(content: bytes, locators: bytes = b"") -> tuple[BlobStore, str]:
    store = BlobStore(ObstoreBackend(MemoryStore(), "memory"))
    digest = hashlib.sha256(content).hexdigest()
    store.put(manifest_key(digest), zstandard.compress(content + b"\n" + locators))
    return store, digest


@given(st.binary(max_size=400))
def test_random_bytes_as_manifest_are_refused(data: bytes) -> None:
    store = BlobStore(ObstoreBackend(MemoryStore(), "memory"))
    for body in (data, zstandard.compress(data), zstandard.compress(HEADER + data)):
        store.put(manifest_key(DIGEST), body)
        try:
            with ManifestReader.fetch(store, DIGEST):
                raise AssertionError("no digest could have matched")
        except ManifestError:
            pass


@given(st.binary(max_size=300))
@example(b"\n")
def test_random_content_with_a_matching_digest_never_crashes(data: bytes) -> None:
    store, digest = hostile_store(HEADER + data.replace(b"\n\n", b"\n") + b"\n", data)
    with suppress(ManifestError), ManifestReader.fetch(store, digest) as reader:
        list(reader.located())


@given(JSON | st.text() | st.binary())
def test_any_line_is_an_acceptable_entry_or_refused(value: object) -> None:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    try:
        entry = decode_entry(line)
    except ManifestError:
        return
    assert encode_entry(entry) == line + b"\n"
    assert path_problem(entry.path) is None


@given(
    st.sampled_from([(b"a/b.jpg", 7), (b'q"\\', 3), ("\u00e9".encode(), 1), (b"a", 16_777_216)]),
    st.integers(0, 200),
    st.binary(max_size=3),
    st.integers(0, 2),
)
@example((b"a", 1), 78, b"../", 0)
@example((b"a", 1), 78, b"\x7f", 0)
@example((b"a", 16_777_216), 84, b"9", 1)
def test_a_plain_line_that_was_changed_is_acceptable_or_refused(
    of: tuple[bytes, int], position: int, put: bytes, cut: int
) -> None:
    line = encode_entry(FileEntry(of[0], of[1], DIGEST, executable=False))[:-1]
    line = line[:position] + put + line[position + cut :]
    try:
        entry = decode_entry(line)
    except ManifestError:
        return
    assert encode_entry(entry) == line + b"\n"
    assert path_problem(entry.path) is None
    assert not isinstance(entry, FileEntry) or entry.size <= SEGMENT_BYTES


@given(JSON)
def test_any_locator_fits_or_is_refused(value: object) -> None:
    entry = FileEntry(b"f", 3, DIGEST, executable=False)
    with suppress(ManifestError):
        decode_locator(json.dumps(value).encode(), entry)


@given(JSON | st.binary())
def test_any_result_is_read_or_refused(value: object) -> None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    for decode in (decode_message, decode_result):
        with suppress(ResultError):
            decode(data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            EVIL_PATHS, st.sampled_from(["f", "d", "l"]), st.sampled_from(["/etc", "..", "."])
        ),
        max_size=6,
    )
)
def test_no_manifest_can_leave_its_directory(
    entries: list[tuple[str, str, str]],
) -> None:
    """Whatever a manifest with a matching digest says, nothing outside the target changes."""
    empty = hashlib.sha256(b"").hexdigest()
    lines = []
    for path, kind, target in sorted(entries):
        body = {"p": path, "t": kind}
        body |= {"f": {"d": empty, "s": 0}, "d": {}, "l": {"l": target}}[kind]
        lines.append(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    content = HEADER + "".join(line + "\n" for line in lines).encode()
    store, digest = hostile_store(content)
    with tempfile.TemporaryDirectory() as name:
        around = make_tree(Path(name) / "around", {b"keep": b"1"})
        with suppress(BlobCorruptError, BlobMissingError, LocalDiskError):
            restore(store, digest, around / "target")
        left = {path: node for path, node in read_tree(around).items() if path != b"target"}
        outside = {path for path in left if not path.startswith(b"target/")}

    assert outside == {b"keep"}
