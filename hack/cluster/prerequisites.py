"""What the machine itself must have, and the one sentence that says how to get what is missing."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.commands import attempt, describe_failure, search_path
from hack.errors import SetupError
from hack.steps import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NETWORK_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
BUSYBOX_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
ELF_START = 4096
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A program, or a file that one of several places may hold, and Debian's package for it."""

    name: str
    package: str
    files: tuple[Path, ...] = ()
    check: Callable[[], bool] | None = None

    def present(self) -> bool:
        """Whether the machine has it."""
        if self.check:
            return self.check()
        if self.files:
            return any(path.exists() for path in self.files)
        return shutil.which(self.name, path=search_path()) is not None


OPENSSL = Prerequisite("openssl", "openssl")
FOR_CONTAINERS = (
    OPENSSL,
    Prerequisite("containerd", "containerd"),
    Prerequisite("ctr", "containerd"),
    Prerequisite("runc", "runc"),
    Prerequisite(
        "network plugins (CNI)",
        "containernetworking-plugins",
        files=tuple(folder / "bridge" for folder in NETWORK_PLUGIN_FOLDERS),
    ),
    Prerequisite("iptables", "iptables"),
    Prerequisite("conntrack", "conntrack"),
    Prerequisite("socat", "socat"),
    Prerequisite("ip", "iproute2"),
    Prerequisite("umount", "mount"),
    Prerequisite("a static busybox", "busybox-static", check=lambda: static_busybox() is not None),
)
FOR_IMAGES = (
    Prerequisite("mmdebstrap", "mmdebstrap"),
    Prerequisite("unshare", "util-linux"),
)


@dataclass(frozen=True, slots=True)
class System:
    """What decides whether we may install packages ourselves."""

    debian: bool
    root: bool


def this_system() -> System:
    """The machine we are on."""
    debian = shutil.which("apt-get", path=search_path()) is not None
    return System(debian=debian, root=os.geteuid() == 0)


def install_command(packages: Iterable[str]) -> list[str]:
    """What installs `packages` on Debian, without anything that they merely recommend."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def missing_packages(wanted: Iterable[Prerequisite]) -> list[str]:
    """The packages of everything that is not there, each once."""
    return sorted({one.package for one in wanted if not one.present()})


def missing_sentence(names: Iterable[str], packages: Iterable[str], system: System) -> str:
    """What is missing and the command that installs it."""
    command = shlex.join(install_command(packages))
    if system.debian:
        prefix = "" if system.root else "sudo "
        return f"missing: {', '.join(names)}; install with: {prefix}{command}"
    return (
        f"missing: {', '.join(names)}; install them with the system's package manager "
        f"(Debian and Ubuntu: {command}), or install Docker and kind, which need none of them"
    )


def ensure(
    wanted: Iterable[Prerequisite],
    *,
    system: System,
    install: Callable[[list[str]], None] | None = None,
) -> None:
    """Install what is missing where that is safe, else say how."""
    wanted = tuple(wanted)
    packages = missing_packages(wanted)
    if not packages:
        return
    if not (system.debian and system.root):
        names = [one.name for one in wanted if not one.present()]
        raise SetupError(missing_sentence(names, packages, system))
    with step(f"install {', '.join(packages)}"):
        (install or install_packages)(packages)
    left = [one.name for one in wanted if not one.present()]
    if left:
        raise SetupError(missing_sentence(left, packages, system))


def install_packages(packages: list[str]) -> None:
    """Install Debian packages; the lists are only renewed when that is needed."""
    with_services_off = not SERVICE_POLICY.exists()
    if with_services_off:
        # A containerd of the system's own would run beside those of the nodes for nothing.
        SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
        SERVICE_POLICY.chmod(0o755)
    try:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        command = install_command(packages)
        result = attempt(command, environment=quiet)
        if not result.succeeded:
            attempt(["apt-get", "update"], environment=quiet)
            result = attempt(command, environment=quiet)
        if not result.succeeded:
            raise SetupError(describe_failure(command, result))
    finally:
        if with_services_off:
            SERVICE_POLICY.unlink(missing_ok=True)
    if "containerd" in packages:
        # Its service would start with the next boot; failing is fine, then there is no such
        # service.
        attempt(["systemctl", "disable", "containerd.service"])


def require_linux(platform: str = sys.platform) -> None:
    """Plain processes are Linux programs."""
    if platform != "linux":
        raise SetupError("without Docker a cluster needs Linux: install Docker and kind")


def require_root(system: System) -> None:
    """Containers, mounts and the bridge are the kernel's, and only root may make them."""
    if not system.root:
        raise SetupError(
            "this cluster needs root for containers and network: run it with sudo, "
            "or install Docker and kind and run it again as you are"
        )


def static_busybox() -> Path | None:
    """A busybox that needs no library, so that it runs in an image that holds nothing else."""
    for path in BUSYBOX_PLACES:
        try:
            with path.open("rb") as file:
                start = file.read(ELF_START)
        except OSError:
            continue  # Without any, the list of prerequisites names the package.
        # A program that needs libraries names the loader of them near its start.
        if b"/ld-" not in start:
            return path
    return None


def network_plugin_folder() -> Path:
    """Where the CNI plugins are."""
    for folder in NETWORK_PLUGIN_FOLDERS:
        if (folder / "bridge").exists():
            return folder
    raise SetupError("the CNI plugin `bridge` is missing")
