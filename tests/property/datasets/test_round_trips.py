from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from gradient_operator.datasets import snapshot as snapshots
from gradient_operator.datasets.backend import ObstoreBackend
from gradient_operator.datasets.entries import FileEntry, PackedAt, SegmentedAt
from gradient_operator.datasets.layout import EMPTY_SHA256, segment_count, tree_digest
from gradient_operator.datasets.manifest import ManifestReader, ManifestWriter
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore
from tests.unit.datasets.trees import Node, make_tree, read_tree

NAMES = st.one_of(
    st.sampled_from(
        [b"a", b"a-b", b"a.b", b"a0", b"b", b"new\nline", b" ", b"\xff", b"...", b"-rf"]
    ),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
    ),
)
NODES = st.one_of(
    st.none(),
    st.binary(max_size=300),
    st.binary(max_size=50).map(lambda data: ("x", data)),
    st.sampled_from([b"/etc/passwd", b"..", b"../../x", b"missing", b"a", b"\xfe"]).map(
        lambda target: ("l", target)
    ),
)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> dict[bytes, Node]:
    """A tree without contradictions: nothing below a file or link."""
    nodes: dict[bytes, Node] = {}
    for name in draw(st.lists(NAMES, max_size=5, unique=True)):
        below = draw(trees(depth=depth - 1)) if depth and draw(st.booleans()) else None
        if below is None:
            nodes[name] = draw(NODES)
        else:
            nodes[name] = None
            nodes |= {name + b"/" + path: node for path, node in below.items()}
    return nodes


def new_store() -> BlobStore:
    return BlobStore(ObstoreBackend(MemoryStore(), "memory"))


@settings(max_examples=150, deadline=None)
@given(trees())
def test_any_tree_comes_back_byte_for_byte(nodes: dict[bytes, Node]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = new_store()
        tree = make_tree(Path(name) / "t", nodes)

        version = snapshot(store, tree, concurrency=2)
        found = restore(store, version.digest, Path(name) / "back", concurrency=2)

        assert found == version
        assert read_tree(Path(name) / "back") == read_tree(tree) == nodes


@settings(max_examples=60, deadline=None)
@given(trees(), trees(), st.integers(1, 4))
def test_id_does_not_depend_on_packing_or_reuse(
    nodes: dict[bytes, Node], other: dict[bytes, Node], files: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        tree = make_tree(Path(name) / "t", nodes)
        wanted = snapshot(new_store(), tree)
        store = new_store()
        base = [snapshot(store, make_tree(Path(name) / "o", other)).digest, wanted.digest]
        whole = snapshots.PACK_FILES
        snapshots.PACK_FILES = files  # type: ignore[misc]
        try:
            assert snapshot(store, tree, base=base[:1], concurrency=1) == wanted
            assert snapshot(store, tree, base=base) == wanted
        finally:
            snapshots.PACK_FILES = whole  # type: ignore[misc]
        restore(store, wanted.digest, Path(name) / "back")

        assert read_tree(Path(name) / "back") == nodes


@settings(max_examples=80, deadline=None)
@given(trees(), trees())
def test_different_trees_have_different_ids(one: dict[bytes, Node], two: dict[bytes, Node]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = new_store()
        first = snapshot(store, make_tree(Path(name) / "one", one))
        second = snapshot(store, make_tree(Path(name) / "two", two))

        assert (first.digest == second.digest) == (one == two)


TRICKY = st.sampled_from(
    [b'","s":5,"t":"f"}', b'\\","s":5,"t":"f","x":1}', b'{"d":"', b"\xff", b"\r", b"\xe2\x80\xa8"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.one_of(NAMES, TRICKY),
        st.tuples(st.sampled_from([0, 1, 300, 5_000_000, 40_000_000]), st.booleans()),
        max_size=8,
    )
)
def test_places_read_in_a_hurry_are_those_read_with_care(
    files: dict[bytes, tuple[int, bool]],
) -> None:
    store = new_store()
    with ManifestWriter() as writer:
        for number, (path, (size, executable)) in enumerate(sorted(files.items())):
            digests = [f"{number:032x}{part:032x}" for part in range(segment_count(size))]
            digest = digests[0] if digests else EMPTY_SHA256
            if len(digests) > 1:
                digest = tree_digest(bytes.fromhex("".join(digests)))
            place = PackedAt("ab" * 32, number) if size < 1000 else SegmentedAt(tuple(digests))
            entry = FileEntry(path, size, digest, executable)
            writer.add(entry, place if size else None)
        version = writer.store(store)

    with ManifestReader.fetch(store, version.digest) as reader:
        careful = [
            (entry.digest, place)
            for entry, place in reader.located()
            if isinstance(entry, FileEntry) and isinstance(place, PackedAt)
        ]
        assert list(reader.packed()) == careful
