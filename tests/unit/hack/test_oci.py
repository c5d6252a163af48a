"""Archives are what the OCI image format says: every reference fits the blob that it names."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from hack.images import layers, oci
from hack.images.layers import File, Folder, Link
from hack.images.oci import BlobStore, Image, ImageConfig

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = ImageConfig(
    entrypoint=("/bin/main",), environment={"A": "b=c"}, working_folder="/srv", user="1:1"
)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def layer(store: BlobStore, tmp_path: Path, content: bytes) -> oci.Descriptor:
    path = tmp_path / "draft.tar"
    layers.write_layer(path, {"etc": Folder(), "etc/file": File(content), "link": Link("etc/file")})
    return store.put_file(path, oci.LAYER)


def image(store: BlobStore, *used: oci.Descriptor, names=("localhost/x:1",)) -> Image:
    return oci.make_image(store, names=names, layers=used, config=CONFIG, architecture="amd64")


def archive(store: BlobStore, images: list[Image], **options) -> dict[str, bytes]:
    """The files of an archive."""
    buffer = io.BytesIO()
    oci.write_archive(store, images, buffer, **options)
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as opened:
        return {one.name: opened.extractfile(one).read() for one in opened}


def resolve(files: dict[str, bytes], reference: dict) -> bytes:
    """The blob that a descriptor names, after checking what it says of it."""
    algorithm, _, digest = reference["digest"].partition(":")
    blob = files[f"blobs/{algorithm}/{digest}"]
    assert hashlib.sha256(blob).hexdigest() == digest
    assert len(blob) == reference["size"]
    return blob


def test_archive_is_well_formed_down_to_the_layers(store: BlobStore, tmp_path: Path):
    used = layer(store, tmp_path, b"one"), layer(store, tmp_path, b"two")
    files = archive(store, [image(store, *used)])
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/x:1"
    manifest = json.loads(resolve(files, entry))
    assert manifest["schemaVersion"] == 2
    config = json.loads(resolve(files, manifest["config"]))
    assert len(manifest["layers"]) == 2
    for reference, difference in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        # Not compressed: the layer's digest is that of its content.
        assert reference["digest"] == difference
        with tarfile.open(fileobj=io.BytesIO(resolve(files, reference))) as opened:
            assert opened.getnames() == ["etc", "etc/file", "link"]
    assert config["config"] == {
        "Entrypoint": ["/bin/main"],
        "Env": ["A=b=c"],
        "WorkingDir": "/srv",
        "User": "1:1",
    }
    assert (config["os"], config["architecture"]) == ("linux", "amd64")


def test_archive_lists_an_image_once_for_each_of_its_names(store: BlobStore, tmp_path: Path):
    one = image(
        store, layer(store, tmp_path, b"x"), names=("localhost/a:1", "docker.io/library/b:2")
    )
    entries = json.loads(archive(store, [one])["index.json"])["manifests"]
    names = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    assert names == ["localhost/a:1", "docker.io/library/b:2"]
    assert len({entry["digest"] for entry in entries}) == 1


def test_archive_holds_a_shared_layer_once(store: BlobStore, tmp_path: Path):
    base = layer(store, tmp_path, b"base")
    first = image(store, base, layer(store, tmp_path, b"1"), names=("localhost/a:1",))
    second = image(store, base, layer(store, tmp_path, b"2"), names=("localhost/b:1",))
    files = archive(store, [first, second])
    assert len([name for name in files if name.startswith("blobs/")]) == 2 + 2 + 3


def test_archive_leaves_out_what_the_receiver_has(store: BlobStore, tmp_path: Path):
    base = layer(store, tmp_path, b"base")
    files = archive(store, [image(store, base)], without={base.digest})
    assert not any(base.digest.removeprefix("sha256:") in name for name in files)
    assert "index.json" in files


def test_image_is_the_same_for_the_same_content(tmp_path: Path):
    digests = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        store = BlobStore(folder / "blobs")
        digests.append(image(store, layer(store, folder, b"same")).manifest.digest)
    assert digests[0] == digests[1]


def test_layer_of_a_tree_says_nothing_of_times_and_people(tmp_path: Path):
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/run").write_text("#!/bin/sh")
    (root / "bin/run").chmod(0o700)
    (root / "alias").symlink_to("bin/run")
    target = tmp_path / "layer.tar"
    layers.write_layer(target, layers.tree_entries(root, "app"))
    with tarfile.open(target) as opened:
        members = {one.name: one for one in opened}
    assert sorted(members) == ["app", "app/alias", "app/bin", "app/bin/run"]
    assert members["app/alias"].linkname == "bin/run"
    assert members["app/bin/run"].mode == 0o755
    assert {(one.mtime, one.uid, one.gid, one.uname) for one in members.values()} == {(0, 0, 0, "")}


def test_blob_that_was_cut_off_does_not_count(store: BlobStore):
    kept = store.put_bytes(b"content", "text/plain")
    assert store.has(kept)
    store.path(kept.digest).write_bytes(b"con")
    assert not store.has(kept)


def test_cached_layer_is_made_again_only_for_other_inputs(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[int] = []

    def make(target: Path) -> None:
        made.append(1)
        layers.write_layer(target, {"file": File(str(len(made)).encode())})

    first = layers.cached_layer("x", {"input": "1"}, make)
    assert layers.cached_layer("x", {"input": "1"}, make) == first
    assert len(made) == 1
    assert layers.cached_layer("x", {"input": "2"}, make) != first
    layers.blob_store().path(first.digest).unlink()
    layers.cached_layer("x", {"input": "1"}, make)
    assert len(made) == 3
