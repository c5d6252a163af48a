"""Which kind of cluster this machine gets."""

from __future__ import annotations

from dataclasses import dataclass

from hack.cluster import local
from hack.cluster.profile import Profile, find_profile


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """Plain processes."""

    profile: Profile

    def up(self) -> None:
        """Start it."""
        local.up(self.profile)

    def down(self) -> None:
        """Stop it."""
        local.down(self.profile)

    def status(self) -> bool:
        """Describe it."""
        return local.status(self.profile)


def choose(name: str) -> LocalCluster:
    """The cluster."""
    return LocalCluster(find_profile(name))
