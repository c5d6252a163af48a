"""Which kind of cluster this machine gets, and what is the same for all of them.

`CLUSTER=existing` takes the cluster that KUBECONFIG leads to; `CLUSTER=kind` and `CLUSTER=local`
insist on one way. Without it: what is already up, else kind where Docker works and kind is
installed, else plain processes. The simulated cluster is always plain processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from hack.cluster import existing, kind, local
from hack.cluster.profile import REAL, Profile, find_profile
from hack.errors import SetupError
from hack.images import load
from hack.images.catalogue import build_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hack.cluster.kind import Runner

VARIABLE = "CLUSTER"
SECONDS = 15.0


class Way(StrEnum):
    """How a cluster is come by."""

    EXISTING = "existing"
    KIND = "kind"
    LOCAL = "local"


class Cluster(Protocol):
    """What can be done with a cluster of any kind."""

    def build(self) -> None:
        """Make the programs that `up` starts; nothing where they come from elsewhere."""

    def up(self) -> None:
        """Start it, or say that it is up."""

    def down(self) -> None:
        """Stop it and leave nothing behind."""

    def status(self) -> bool:
        """Describe it; whether it is up."""

    def build_images(self, names: list[str]) -> None:
        """Make images."""

    def load_images(self, names: list[str]) -> None:
        """Give images that were made to the nodes."""


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """Plain processes."""

    profile: Profile

    def build(self) -> None:
        """Make the programs that `up` starts."""
        local.build(self.profile)

    def up(self) -> None:
        """Start it, or say that it is up."""
        local.up(self.profile)

    def down(self) -> None:
        """Stop it and leave nothing behind."""
        local.down(self.profile)

    def status(self) -> bool:
        """Describe it; whether it is up."""
        return local.status(self.profile)

    def build_images(self, names: list[str]) -> None:
        """Make images without Docker."""
        for name in names:
            build_image(name)

    def load_images(self, names: list[str]) -> None:
        """Give images to both nodes."""
        if not local.is_up(self.profile):
            raise SetupError("the cluster is not up: python3 -m hack.cluster up")
        load.load_images(self.profile, [build_image(name) for name in names])


def docker_works(run: Runner) -> bool:
    """Whether there is a Docker engine that answers, and kind."""
    if not run(["kind", "version"]).succeeded:
        return False
    return run(["docker", "version", "--format", "{{.Server.Version}}"]).succeeded


def decide(environment: Mapping[str, str], *, run: Runner, local_exists: bool) -> Way:
    """The way to a cluster with real nodes."""
    wish = environment.get(VARIABLE, "")
    if wish:
        if wish not in set(Way):
            raise SetupError(f"{VARIABLE}={wish} is not known; it can be: {', '.join(Way)}")
        return Way(wish)
    if local_exists:
        return Way.LOCAL
    return Way.KIND if docker_works(run) else Way.LOCAL


def choose(name: str) -> Cluster:
    """The cluster of this name, by the way that this machine allows."""
    profile = find_profile(name)
    if profile is not REAL:
        return LocalCluster(profile)
    run = kind.runner(seconds=SECONDS)
    way = decide(os.environ, run=run, local_exists=profile.state.exists())
    if way is Way.EXISTING:
        return existing.ExistingCluster()
    if way is Way.KIND:
        return kind.KindCluster()
    return LocalCluster(profile)
