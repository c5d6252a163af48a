"""The vectors of docs/data.md: what they say is what we write, and what another reader restores.

`pytest tests/unit/datasets/test_vectors.py --update-golden` writes what follows from their trees
anew: a difference there is a change of the format.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from gradient_operator.datasets.layout import manifest_key
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.provenance import Making, encode, statement
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore
from gradient_operator.workflow.references import version_id
from tests.unit.datasets.trees import make_tree, read_tree
from tests.vectors import reader

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[2] / "vectors"
TREES = sorted(FOLDER.glob("tree-*.json"))
PROVENANCE = FOLDER / "provenance.json"


def raw(item: dict[str, Any], name: str) -> bytes:
    """Text, base64, or a text repeated up to a size."""
    if f"{name}Base64" in item:
        return base64.b64decode(item[f"{name}Base64"])
    data: bytes = item[name].encode()
    size = item.get("size")
    if size is None:
        return data
    return (data * (size // max(1, len(data)) + 1))[:size]


def build(vector: dict[str, Any], folder: Path) -> Path:
    nodes: dict[bytes, Any] = {}
    for item in vector["tree"]:
        path = raw({**item, "size": None}, "path")
        kind = item["type"]
        if kind == "directory":
            nodes[path] = None
        elif kind == "link":
            nodes[path] = ("l", item["target"].encode())
        else:
            data = raw(item, "content")
            nodes[path] = ("x", data) if item.get("executable") else data
    return make_tree(folder, nodes)


def written(store: BlobStore, digest: str) -> dict[str, Any]:
    """What a vector says of a version that was written."""
    reader_ = zstandard.ZstdDecompressor().stream_reader(
        bytes(store.get(manifest_key(digest))), read_across_frames=True
    )
    content, _, locators = reader_.read().partition(b"\n\n")
    return {
        "digest": digest,
        "version": version_id(digest),
        "content": content.decode().split("\n"),
        "locators": locators.decode().split("\n")[:-1],
        "objects": {
            info.key.removeprefix("v1/"): hashlib.sha256(store.get(info.key)).hexdigest()
            for info in sorted(store.list("v1"), key=lambda info: info.key)
            if "manifests" not in info.key
        },
    }


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def store(bucket: Path) -> BlobStore:
    return BlobStore.open(StorageLocation(endpoint=bucket.as_uri(), prefix="team"))


@pytest.fixture
def get(bucket: Path) -> Callable[[str], bytes]:
    return lambda key: (bucket / "team/v1" / key).read_bytes()


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_a_tree_is_written_and_read_as_its_vector_says(
    path: Path,
    store: BlobStore,
    get: Callable[[str], bytes],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    tree = build(vector, tmp_path / "tree")
    version = snapshot(store, tree)
    found = written(store, version.digest) | {"files": version.files, "bytes": version.bytes}
    if request.config.getoption("--update-golden"):
        text = json.dumps({"tree": vector["tree"], **found}, indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
    assert found == {name: vector.get(name) for name in found}
    reader.restore(get, version.digest, tmp_path / "theirs")
    assert read_tree(tmp_path / "theirs") == read_tree(tree)
    restore(store, version.digest, tmp_path / "ours")
    assert read_tree(tmp_path / "ours") == read_tree(tree)


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_a_manifest_of_the_vectors_words_alone_is_read(
    path: Path, store: BlobStore, tmp_path: Path
) -> None:
    """Another writer need not compress as we do."""
    vector = json.loads(path.read_text(encoding="utf-8"))
    tree = build(vector, tmp_path / "tree")
    snapshot(store, tree)
    content = "".join(f"{line}\n" for line in vector["content"]).encode()
    assert hashlib.sha256(content).hexdigest() == vector["digest"]
    locators = "".join(f"{line}\n" for line in vector["locators"]).encode()
    body = zstandard.ZstdCompressor(level=19).compress(content + b"\n" + locators)
    store.put(manifest_key(vector["digest"]), body)
    restore(store, vector["digest"], tmp_path / "back")
    assert read_tree(tmp_path / "back") == read_tree(tree)


@pytest.mark.parametrize(
    ("old", "new"), [(b'"p":"a"', b'"p":"../a"'), (b'"s":', b'"s":1'), (b'{"d"', b'{"x":1,"d"')]
)
def test_the_other_reader_refuses_what_was_changed(
    store: BlobStore, get: Callable[[str], bytes], tmp_path: Path, old: bytes, new: bytes
) -> None:
    digest = snapshot(store, make_tree(tmp_path / "tree", {b"a": b"1"})).digest
    plain = zstandard.ZstdDecompressor().stream_reader(
        get(f"manifests/sha256/{digest}"), read_across_frames=True
    )
    changed = plain.read().replace(old, new)
    assert changed.count(new)
    with pytest.raises(ValueError, match="another digest"):
        reader.restore(lambda _: zstandard.compress(changed), digest, tmp_path / "back")


def test_the_other_reader_knows_nothing_of_us() -> None:
    lines = Path(reader.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100
    code = "import sys, tests.vectors.reader; print([m for m in sys.modules if 'gradient' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_statement_of_a_making_is_as_its_vector_says(request: pytest.FixtureRequest) -> None:
    vector = json.loads(PROVENANCE.read_text(encoding="utf-8"))
    given = vector["version"]
    making = Making(
        namespace=given["namespace"],
        spec=given["spec"],
        origin=given["spec"].get("origin", {}),
        created=given["created"],
    )
    found = {
        "key": making.key.removeprefix("v1/"),
        "signedKey": making.signed_key.removeprefix("v1/"),
        "statement": encode(statement(making)).decode(),
    }
    if request.config.getoption("--update-golden"):
        text = json.dumps({"version": given, **found}, indent=1, ensure_ascii=False)
        PROVENANCE.write_text(f"{text}\n", encoding="utf-8")
    assert found == {name: vector.get(name) for name in found}
