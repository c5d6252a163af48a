"""Images as the OCI image format defines them: blobs named by digest, and JSON that lists them.

Blobs are kept once for all images, so that the layers that images share take no space twice. Layers
are plain tar files: on one machine, compressing and decompressing them costs more than it saves.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
# containerd takes an image's name from here; the format's own annotation holds only the tag.
NAME_ANNOTATION = "io.containerd.image.name"
TAG_ANNOTATION = "org.opencontainers.image.ref.name"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What the format calls a reference to a blob."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, object]:
        """The descriptor in the format's own spelling."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a container of the image is started, if the pod does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_folder: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The settings in the format's own spelling, without those that are not set."""
        values: dict[str, object] = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "WorkingDir": self.working_folder,
            "User": self.user,
            "Labels": dict(self.labels),
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: its manifest, all blobs, and every name it goes by."""

    names: tuple[str, ...]
    manifest: Descriptor
    blobs: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class BlobStore:
    """A folder of blobs named by their SHA-256."""

    folder: Path

    def path(self, digest: str) -> Path:
        """Where the blob with this digest is or will be."""
        return self.folder / digest.removeprefix("sha256:")

    def put_bytes(self, data: bytes, media_type: str) -> Descriptor:
        """Keep `data`."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        target = self.path(digest)
        if not target.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
                file.write(data)
            Path(file.name).replace(target)
        return Descriptor(media_type, digest, len(data))

    def put_file(self, path: Path, media_type: str) -> Descriptor:
        """Keep the file at `path`, which is moved here."""
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
        digest = f"sha256:{hasher.hexdigest()}"
        size = path.stat().st_size
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.move(path, self.path(digest))
        return Descriptor(media_type, digest, size)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the blob is here, whole."""
        path = self.path(descriptor.digest)
        return path.exists() and path.stat().st_size == descriptor.size


def canonical(document: object) -> bytes:
    """JSON that is the same for the same content, so that its digest is too."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def make_image(
    store: BlobStore,
    *,
    names: Iterable[str],
    layers: Iterable[Descriptor],
    config: ImageConfig,
    architecture: str,
) -> Image:
    """Put layers and settings together. Nothing in an image says when it was made."""
    layers = tuple(layers)
    settings = {
        "architecture": architecture,
        "os": "linux",
        "config": config.as_json(),
        # The layers are not compressed, so that their digests are those of their content.
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    described = store.put_bytes(canonical(settings), CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described.as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
    manifest = store.put_bytes(canonical(document), MANIFEST)
    return Image(names=tuple(names), manifest=manifest, blobs=(described, *layers))


def index_of(images: Iterable[Image]) -> dict[str, object]:
    """The list of images in an archive; one with several names is listed once for each."""
    return {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                **image.manifest.as_json(),
                "annotations": {NAME_ANNOTATION: name, TAG_ANNOTATION: name.rsplit(":", 1)[-1]},
            }
            for image in images
            for name in image.names
        ],
    }


def write_archive(
    store: BlobStore,
    images: Iterable[Image],
    output: IO[bytes],
    *,
    without: Container[str] = frozenset(),
) -> None:
    """Write the images as one archive that containerd, Docker and kind can import.

    Blobs whose digests are in `without` are left out: the receiver has them.
    """
    images = tuple(images)
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        add_bytes(archive, "oci-layout", canonical({"imageLayoutVersion": "1.0.0"}))
        add_bytes(archive, "index.json", canonical(index_of(images)))
        blobs = {blob.digest: blob for image in images for blob in (image.manifest, *image.blobs)}
        for digest in sorted(digest for digest in blobs if digest not in without):
            path = store.path(digest)
            entry = tarfile.TarInfo(f"blobs/sha256/{path.name}")
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)


def add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file with this content."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
