"""Give images to the nodes of the cluster: only those that a node does not have yet."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from hack.cache import exclusive, write_atomically
from hack.cluster.nodes import containerd_socket
from hack.cluster.processes import Component
from hack.cluster.profile import BRIDGE_ADDRESSES, REGISTRY_PORT
from hack.commands import LAST_LINES, run
from hack.errors import SetupError
from hack.images.catalogue import SYSTEM, build_image
from hack.images.layers import blob_store
from hack.images.oci import Image, write_archive
from hack.steps import say, step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.cluster.profile import Node, Profile

NAMESPACE = "k8s.io"


def system_images() -> list[Image]:
    """The images that a cluster cannot be without; they take a moment to make."""
    return [build_image(name) for name in SYSTEM]


def parse_images(listing: str) -> dict[str, str]:
    """Names and digests in what `ctr images list` prints."""
    found = {}
    for line in listing.splitlines()[1:]:
        digests = [word for word in line.split() if word.startswith("sha256:")]
        if digests:
            found[line.split()[0]] = digests[0]
    return found


def images_of(socket: Path) -> dict[str, str]:
    """The images that a node has, with their digests."""
    return parse_images(run(["ctr", "--address", socket, "-n", NAMESPACE, "images", "list"]))


def missing_images(present: dict[str, str], images: Iterable[Image]) -> list[Image]:
    """The images that are not there under all their names with the same content."""
    return [
        image
        for image in images
        if any(present.get(name) != image.manifest.digest for name in image.names)
    ]


def import_images(socket: Path, images: list[Image]) -> None:
    """Stream the images into a node's containerd, without the blobs that it has."""
    present = frozenset(
        run(["ctr", "--address", socket, "-n", NAMESPACE, "content", "ls", "-q"]).split()
    )
    command = ["ctr", "--address", str(socket), "-n", NAMESPACE, "images", "import", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as importer:
        entry, words = cast("IO[bytes]", importer.stdin), cast("IO[bytes]", importer.stdout)
        with suppress(BrokenPipeError):  # It has ended then, and its own words say why.
            write_archive(blob_store(), images, entry, without=present)
            entry.close()
        said = words.read().decode(errors="replace")
    if importer.returncode:
        last = said.splitlines()[-LAST_LINES:]
        raise SetupError("\n  ".join([f"`{' '.join(command)}` failed:", *last]))


def load_into(profile: Profile, node: Node, images: list[Image]) -> bool:
    """Bring one node up to date; whether there was anything to do."""
    socket = containerd_socket(profile, node)
    missing = missing_images(images_of(socket), images)
    if missing:
        import_images(socket, missing)
    return bool(missing)


def registry_component(profile: Profile) -> Component:
    """The registry that the nodes pull from."""
    return Component(
        "registry",
        (
            *(sys.executable, str(Path(__file__).parent / "registry.py")),
            *("--address", BRIDGE_ADDRESSES[0], "--port", str(REGISTRY_PORT)),
            *("--blobs", str(blob_store().folder), "--index", str(index_file(profile))),
        ),
    )


def index_file(profile: Profile) -> Path:
    """The names that the registry knows, with the digests of their manifests."""
    return profile.state / "images.json"


def publish(profile: Profile, images: list[Image]) -> None:
    """Let the registry know the images under all their names."""
    path = index_file(profile)
    added = {name: image.manifest.digest for image in images for name in image.names}
    with exclusive(path.with_suffix(".lock")):
        known = json.loads(path.read_text()) if path.exists() else {}
        write_atomically(path, json.dumps(known | added, indent=2, sort_keys=True))


def load_images(profile: Profile, images: list[Image]) -> None:
    """Bring all nodes up to date, at the same time."""
    publish(profile, images)
    names = ", ".join(image.names[0] for image in images)
    with step(f"load {names}"), ThreadPoolExecutor() as pool:
        done = [pool.submit(load_into, profile, node, images) for node in profile.nodes]
        changed = [one.result() for one in done]
    if not any(changed):
        say("        the nodes had them already")
