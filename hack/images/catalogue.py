"""Every image that this repository can make, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hack.errors import SetupError
from hack.images.oci import Image
from hack.images.system import busybox_image, pause_image


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is called on the command line, and how it is made."""

    make: Callable[[], Image]
    purpose: str


RECIPES = {
    "pause": Recipe(pause_image, "holds the namespaces of pods"),
    "busybox": Recipe(busybox_image, "makes and removes the folders of volumes"),
}
SYSTEM = ("pause", "busybox")


def build_image(name: str) -> Image:
    """The image `name`, made if it is not there yet."""
    if name not in RECIPES:
        raise SetupError(f"there is no image `{name}`; choose from: {', '.join(RECIPES)}")
    return RECIPES[name].make()
