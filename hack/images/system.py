"""The two small images that a cluster itself needs."""

from __future__ import annotations

from pathlib import Path

from hack.cluster.binaries import source_binary
from hack.cluster.nodes import PAUSE_IMAGE
from hack.cluster.prerequisites import static_busybox
from hack.cluster.storage import HELPER_IMAGE
from hack.commands import run
from hack.errors import SetupError
from hack.images.layers import (
    STICKY,
    Entry,
    File,
    Folder,
    Link,
    blob_store,
    cached_layer,
    write_layer,
)
from hack.images.oci import Descriptor, Image, ImageConfig, make_image
from hack.images.platforms import oci_architecture

PASSWORDS = "root:x:0:0:root:/root:/bin/sh\n"


def pause_image() -> Image:
    """What holds a pod's namespaces."""
    program = source_binary(Path(__file__).parent / "pause")

    def make(target: Path) -> None:
        write_layer(target, {"pause": File(program, mode=0o755)})

    layer = cached_layer("pause", {"program": program.read_bytes()}, make)
    return make_image(
        blob_store(),
        names=(PAUSE_IMAGE,),
        layers=(layer,),
        config=ImageConfig(entrypoint=("/pause",), user="65535:65535"),
        architecture=oci_architecture(),
    )


def busybox_layer() -> Descriptor:
    """A shell and its tools in one static program."""
    busybox = static_busybox()
    if not busybox:
        raise SetupError("a static busybox is missing: apt-get install -y busybox-static")

    def make(target: Path) -> None:
        entries: dict[str, Entry] = {
            "bin": Folder(),
            "bin/busybox": File(busybox, mode=0o755),
            "etc": Folder(),
            "etc/group": File(b"root:x:0:\n"),
            "etc/passwd": File(PASSWORDS.encode()),
            "root": Folder(mode=0o700),
            "tmp": Folder(mode=STICKY),
        }
        applets = run([busybox, "--list"]).split()
        entries |= {f"bin/{name}": Link("busybox") for name in applets if name != "busybox"}
        write_layer(target, entries)

    return cached_layer("busybox", {"program": busybox.read_bytes()}, make)


def busybox_image() -> Image:
    """What makes and removes the folders of volumes."""
    return make_image(
        blob_store(),
        names=(HELPER_IMAGE,),
        layers=(busybox_layer(),),
        config=ImageConfig(command=("sh",), environment={"PATH": "/bin"}),
        architecture=oci_architecture(),
    )
