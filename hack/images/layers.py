"""Layers: made once for the same inputs, with nothing in them that depends on when or by whom."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_folder, content_key, exclusive, write_atomically
from hack.errors import SetupError
from hack.images.oci import LAYER, BlobStore, Descriptor
from hack.steps import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

STICKY = 0o1777


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in a layer."""

    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link in a layer."""

    target: str


@dataclass(frozen=True, slots=True)
class File:
    """A file in a layer: its content, or where it is copied from."""

    content: bytes | Path
    mode: int = 0o644


Entry = Folder | Link | File


def blob_store() -> BlobStore:
    """The machine's store of blobs."""
    return BlobStore(cache_folder("images", "blobs", "sha256"))


def cached_layer(
    name: str, inputs: Mapping[str, str | bytes], make: Callable[[Path], None]
) -> Descriptor:
    """The layer `name` for these inputs; `make` writes its tar file if it is not there yet."""
    store = blob_store()
    record = cache_folder("images", "layers") / f"{name}-{content_key(inputs)}.json"
    with exclusive(record.with_suffix(".lock")):
        if record.exists():
            found = Descriptor(**json.loads(record.read_text()))
            if store.has(found):
                return found
        with (
            step(f"make layer {name}"),
            tempfile.TemporaryDirectory(dir=cache_folder("images")) as folder,
        ):
            draft = Path(folder) / "layer.tar"
            make(draft)
            layer = store.put_file(draft, LAYER)
        document = {"media_type": layer.media_type, "digest": layer.digest, "size": layer.size}
        write_atomically(record, json.dumps(document))
    return layer


def write_layer(target: Path, entries: Mapping[str, Entry]) -> None:
    """Write a layer with these entries, sorted, without times and names of people."""
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(entries):
            add_entry(archive, name, entries[name])


def add_entry(archive: tarfile.TarFile, name: str, entry: Entry) -> None:
    """Add one entry to a layer."""
    info = tarfile.TarInfo(name.strip("/"))
    if isinstance(entry, Folder):
        info.type, info.mode = tarfile.DIRTYPE, entry.mode
        info.uid = info.gid = entry.owner
        archive.addfile(info)
    elif isinstance(entry, Link):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
        archive.addfile(info)
    elif isinstance(entry.content, Path):
        info.mode, info.size = entry.mode, entry.content.stat().st_size
        with entry.content.open("rb") as file:
            archive.addfile(info, file)
    else:
        info.mode, info.size = entry.mode, len(entry.content)
        archive.addfile(info, io.BytesIO(entry.content))


def tree_entries(root: Path, place: str) -> dict[str, Entry]:
    """Everything below the folder `root`, as it is to stand below `place` in the image."""
    entries: dict[str, Entry] = {place: Folder()}
    for current, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(current) / name
            inside = f"{place}/{path.relative_to(root)}"
            mode = path.lstat().st_mode
            if stat.S_ISCHR(mode):
                raise SetupError(f"a build step may add files and not remove them: {inside}")
            if stat.S_ISLNK(mode):
                entries[inside] = Link(str(path.readlink()))
            elif stat.S_ISDIR(mode):
                entries[inside] = Folder()
            elif stat.S_ISREG(mode):
                entries[inside] = File(path, mode=0o755 if mode & 0o111 else 0o644)
    return entries


def file_inputs(root: Path, paths: Iterable[Path]) -> dict[str, str | bytes]:
    """The content of files and of all files in folders, by name: the inputs of a layer."""
    inputs: dict[str, str | bytes] = {}
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                inputs[str(file.relative_to(root))] = file.read_bytes()
    return inputs
