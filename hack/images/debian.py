"""The base layer that the larger images share, and a way to run a build step on top of it.

A build step runs in a chroot on an overlay of that base: what it writes lands in a folder of its
own, which then is the layer, as with a RUN in a Dockerfile. All mounts are in a mount namespace of
the step's own and end with it, however it ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_folder, exclusive
from hack.cluster import prerequisites
from hack.commands import attempt, run
from hack.images.layers import blob_store, cached_layer, tree_entries, write_layer
from hack.images.platforms import oci_architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hack.images.oci import Descriptor

RELEASE = "bookworm"
PACKAGE_LIST = Path(__file__).parent / "debian-packages.txt"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What nobody reads in a container, as in Debian's own slim images.
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*")
PASSED_ON = ("UV_", "PIP_", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
NOT_PASSED_ON = ("UV_PYTHON", "UV_PROJECT", "UV_CACHE_DIR")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

STEP_SCRIPT = Path(__file__).parent / "step.sh"


@dataclass(frozen=True, slots=True)
class BuildStep:
    """A shell command in the chroot, and the folder that it makes.

    `below` are the layers of earlier steps, `files` is what is copied in before, and `mounts` is
    what is only lent.
    """

    script: str
    result: str
    folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    below: tuple[Descriptor, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)


def packages() -> list[str]:
    """Debian's packages in the base layer; the Dockerfiles install the same list."""
    return PACKAGE_LIST.read_text().split()


def machine_sources() -> list[str]:
    """Where this machine gets Debian's packages of the release, if it is Debian itself.

    An answer keeps a machine that must use a mirror working; none leaves the choice to mmdebstrap.
    """
    columns = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)"
    listed = attempt(["apt-get", "indextargets", "--format", columns, "Created-By: Packages"])
    lines = []
    for line in listed.output.splitlines():
        address, codename, component, origin = line.split("|")
        if origin == "Debian" and codename.startswith(RELEASE) and component == "main":
            lines.append(f"deb [signed-by={KEYRING}] {address} {codename} {component}")
    complete = any(f" {RELEASE} main" in line for line in lines)
    return sorted(set(lines)) if complete else []


def proxy_options() -> list[str]:
    """The proxy that this machine's package manager uses, for the one inside."""
    listed = attempt(["apt-config", "dump", "Acquire"])
    lines = [line for line in listed.output.splitlines() if "proxy" in line.lower()]
    return [f"--aptopt={line.removesuffix(';')}" for line in lines if '""' not in line]


def base_layer() -> Descriptor:
    """Debian with the packages of the list."""
    inputs = {
        "release": RELEASE,
        "packages": " ".join(packages()),
        "left out": " ".join(LEFT_OUT),
        "architecture": oci_architecture(),
    }
    return cached_layer("debian", inputs, make_base)


def make_base(target: Path) -> None:
    """Have mmdebstrap put the packages together."""
    prerequisites.ensure(prerequisites.FOR_IMAGES, system=prerequisites.this_system())
    if not machine_sources():
        attempt(["apt-get", "update"])
    with tempfile.NamedTemporaryFile("w", suffix=".list") as sources:
        sources.write("\n".join(machine_sources()) + "\n")
        sources.flush()
        places = [sources.name] if machine_sources() else []
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--format=tar",
            f"--include={','.join(packages())}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            *proxy_options(),
            RELEASE,
            str(target),
            *places,
        ]
        run(command)


def unpacked(layer: Descriptor) -> Path:
    """A layer as a folder, to run build steps on."""
    folder = cache_folder("images") / f"root-{layer.digest.removeprefix('sha256:')[:16]}"
    with exclusive(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
                archive = blob_store().path(layer.digest)
                root = Path(draft) / "root"
                root.mkdir()
                run(["tar", "--extract", "--numeric-owner", "--file", archive, "-C", root])
                root.rename(folder)
    return folder


def build_environment(step: BuildStep) -> dict[str, str]:
    """What the command sees: its own settings and what it takes to reach packages here."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(PASSED_ON) and not name.startswith(NOT_PASSED_ON)
    }
    fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return {**passed, **fixed, **step.environment}


def copy_in(files: Mapping[str, Path], root: Path) -> None:
    """Put files and folders of the repository into the step's file system."""
    for inside, source in files.items():
        target = root / inside.strip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignore)
        else:
            shutil.copyfile(source, target)


def lent(step: BuildStep) -> dict[str, Path]:
    """What is mounted: the step's own wishes, and how names and certificates are found."""
    mounts = {"/etc/resolv.conf": Path("/etc/resolv.conf"), **step.mounts}
    if CERTIFICATES.exists():
        mounts[os.environ.get("SSL_CERT_FILE") or str(CERTIFICATES)] = CERTIFICATES
    return {inside: source for inside, source in mounts.items() if source.exists()}


def run_step(step: BuildStep, target: Path) -> None:
    """Run the step and write the folder that it made as a layer."""
    system = prerequisites.this_system()
    prerequisites.ensure(prerequisites.FOR_IMAGES, system=system)
    prerequisites.require_root(system)
    # The topmost comes first.
    lower = ":".join(str(unpacked(layer)) for layer in (*reversed(step.below), base_layer()))
    scratch = Path(tempfile.mkdtemp(dir=cache_folder("images"), prefix="step-"))
    try:
        upper, work, root = (scratch / name for name in ("upper", "work", "root"))
        for place in (upper, work, root):
            place.mkdir()
        copy_in(step.files, upper)
        pairs = [word for inside, source in lent(step).items() for word in (str(source), inside)]
        variables = [f"{name}={value}" for name, value in build_environment(step).items()]
        inner = ["/usr/bin/env", "-i", "-C", step.folder, *variables, "/bin/sh", "-ec", step.script]
        outer = ["unshare", "--mount", "--propagation", "private", "/bin/sh", str(STEP_SCRIPT)]
        places = [lower, str(upper), str(work), str(root)]
        run([*outer, *places, *pairs, "--", *inner], called=step.script)
        result = step.result.strip("/")
        write_layer(target, tree_entries(upper / result, result))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
