"""Every image that this repository can make, in one table, and the names that they stand in for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.checkout import ROOT
from hack.errors import SetupError
from hack.images.docker_build import build
from hack.images.system import busybox_image, pause_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hack.images.oci import Image

# Public images that workflow files name. Where no image can be pulled, the demo image answers to
# these names as well, so that such files run unmodified. containerd wants names in full.
STAND_IN_FOR = (
    "docker.io/library/alpine:3",
    "docker.io/library/alpine:latest",
    "docker.io/library/bash:5",
    "docker.io/library/bash:latest",
    "docker.io/library/python:3",
    "docker.io/library/python:3.10",
    "docker.io/library/python:3.11",
    "docker.io/library/python:3.11-slim",
    "docker.io/library/ubuntu:latest",
    "docker.io/tensorflow/tensorflow:1.14.0-gpu-py3",
    "docker.io/tensorflow/tensorflow:1.14.0-py3",
    "nvcr.io/nvidia/pytorch:21.10-py3",
)


@dataclass(frozen=True, slots=True)
class Described:
    """An image that a Dockerfile describes: Docker can build it as well."""

    dockerfile: str
    names: tuple[str, ...]

    def make(self) -> Image:
        """Build it without Docker."""
        path = ROOT / self.dockerfile
        return build(path, name=self.names[0].split("/")[-1].split(":")[0], names=self.names)


DESCRIBED = {
    "operator": Described("operator/Dockerfile", ("localhost/gradient/operator:dev",)),
    "seaweedfs": Described(
        "hack/images/seaweedfs.Dockerfile", ("localhost/gradient/seaweedfs:dev",)
    ),
    "demo": Described(
        "examples/demo/image/Dockerfile", ("localhost/gradient/demo:dev", *STAND_IN_FOR)
    ),
}
MAKERS: dict[str, Callable[[], Image]] = {
    "pause": pause_image,
    "busybox": busybox_image,
    **{name: described.make for name, described in DESCRIBED.items()},
}
SYSTEM = ("pause", "busybox")


def build_image(name: str) -> Image:
    """The image `name`, made if it is not there yet."""
    if name not in MAKERS:
        raise SetupError(f"there is no image `{name}`; choose from: {', '.join(MAKERS)}")
    return MAKERS[name]()


def context(dockerfile: str) -> Path:
    """The Dockerfile's path for Docker; all are built from the root of the repository."""
    return ROOT / dockerfile
