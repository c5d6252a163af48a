"""Whether the process is alive and ready, decided from the state of its parts.

Pure: knows caches and queues only by the few questions it asks them, and nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Flag(Protocol):
    """An event that is set or not."""

    def is_set(self) -> bool:
        """Whether it is set."""


class Watching(Protocol):
    """A cache that follows the API server: a reflector."""

    @property
    def synced(self) -> Flag:
        """Set when the cache has been complete once."""

    def last_event_age(self) -> float:
        """Seconds since the server last said anything."""


class Queueing(Protocol):
    """A work queue."""

    def oldest_age(self) -> float:
        """Seconds for which the longest waiting key has waited."""


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """Seconds beyond which a part counts as stuck."""

    loop_lag: float = 5.0
    event_age: float = 180.0
    key_age: float = 300.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that failed, and why."""

    check: str
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """Asks the parts; the mappings may grow after this object was made."""

    loop_lag: Callable[[], float]
    """Seconds that the event loop was late at worst in the last while."""
    reflectors: Mapping[str, Watching]
    queues: Mapping[str, Queueing]
    is_leader: Callable[[], bool]
    limits: HealthLimits = field(default_factory=HealthLimits)

    @property
    def role(self) -> str:
        """`leader` or `standby`; a standby is as ready as a leader."""
        return "leader" if self.is_leader() else "standby"

    def live(self) -> list[Failure]:
        """Return what is stuck for so long that only a restart helps."""
        return list(self._stuck())

    def ready(self) -> list[Failure]:
        """Return what is missing before this process could do the work."""
        return [
            Failure(f"reflector {name}", "its first list has not arrived yet")
            for name, reflector in self.reflectors.items()
            if not reflector.synced.is_set()
        ]

    def _stuck(self) -> Iterator[Failure]:
        lag = self.loop_lag()
        if lag > self.limits.loop_lag:
            allowed = self.limits.loop_lag
            yield Failure("event loop", f"it was late by {lag:.1f} s, {allowed:g} s are allowed")
        for name, reflector in self.reflectors.items():
            age = reflector.last_event_age()
            if age > self.limits.event_age:
                yield Failure(
                    f"reflector {name}",
                    f"the API server has been silent for {age:.0f} s, "
                    f"{self.limits.event_age:g} s are allowed: is it reachable and permitted?",
                )
        if not self.is_leader():
            return  # a standby's queues wait for its turn
        for name, queue in self.queues.items():
            age = queue.oldest_age()
            if age > self.limits.key_age:
                yield Failure(
                    f"queue {name}",
                    f"a key has waited for {age:.0f} s, {self.limits.key_age:g} s are allowed",
                )
