"""The base layer that the larger images share, and a way to run a build step on top of it.

A build step runs in a chroot on an overlay of that base: what it writes lands in a folder of its own,
which then is the layer, as with a RUN in a Dockerfile. All mounts are in a mount namespace of the step's
own and end with it, however it ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.cache import cache_folder, exclusive
from hack.cluster import prerequisites
from hack.commands import attempt, run
from hack.images.layers import Entry, blob_store, cached_layer, tree_entries, write_layer
from hack.images.oci import Descriptor
from hack.images.platforms import oci_architecture

RELEASE = "bookworm"
PACKAGE_LIST = Path(__file__).parent / "debian-packages.txt"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What nobody reads in a container, as in Debian's own slim images.
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*")
PASSED_ON = ("UV_", "PIP_", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# Arguments: lower, upper, work, root, then "source target" pairs, "--", and the command.
STEP_SCRIPT = r"""
set -eu
lower=$1 upper=$2 work=$3 root=$4
shift 4
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; : >>"$root$2"; fi
  mount --bind "$1" "$root$2"
  shift 2
done
shift
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class BuildStep:
    """A command in the chroot: its environment, what is mounted where, and the folder that it makes."""

    command: tuple[str, ...]
    result: str
    environment: Mapping[str, str] = field(default_factory=dict)
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


def unpacked_base() -> Path:
    """The base layer as a folder, to run build steps on."""
    layer = base_layer()
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
    """What the step's command sees: its own settings and what this machine needs to reach packages."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(PASSED_ON) and name != "UV_PYTHON"
    }
    fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return {**passed, **fixed, **step.environment}


def run_step(step: BuildStep, target: Path) -> None:
    """Run the step and write the folder that it made as a layer."""
    prerequisites.ensure(prerequisites.FOR_IMAGES, system=prerequisites.this_system())
    prerequisites.require_root(prerequisites.this_system())
    lower = unpacked_base()
    scratch = Path(tempfile.mkdtemp(dir=cache_folder("images"), prefix="step-"))
    try:
        places = [scratch / name for name in ("upper", "work", "root")]
        for place in places:
            place.mkdir()
        mounts = {"/etc/resolv.conf": Path("/etc/resolv.conf"), **step.mounts}
        if CERTIFICATES.exists():
            mounts[os.environ.get("SSL_CERT_FILE") or str(CERTIFICATES)] = CERTIFICATES
        pairs = [word for inside, source in mounts.items() for word in (str(source), inside)]
        variables = [f"{name}={value}" for name, value in build_environment(step).items()]
        inner = ["/usr/bin/env", "-i", *variables, *step.command]
        outer = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", STEP_SCRIPT]
        run([*outer, "step", str(lower), *map(str, places), *pairs, "--", *inner])
        write_layer(target, result_entries(places[0], step.result))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def result_entries(upper: Path, result: str) -> dict[str, Entry]:
    """What the step made, with the folders above it."""
    return tree_entries(upper / result.strip("/"), result.strip("/"))


def shell(*commands: Sequence[str]) -> tuple[str, ...]:
    """Several commands as one, ending at the first that fails."""
    return ("/bin/sh", "-ec", " && ".join(shlex.join(command) for command in commands))
