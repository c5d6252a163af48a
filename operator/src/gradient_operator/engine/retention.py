"""Which versions of a dataset are kept, and when the others go.

Pure. A version that no rule keeps is marked first and deleted when its grace is over and still
nothing keeps it: a tag that is set meanwhile, or a run that takes it, saves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What to keep; times in seconds."""

    keep_last: int | None
    keep_tagged: bool
    keep_used_within: float | None
    grace: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """What is known of a version; times are seconds since the epoch."""

    name: str
    created_at: float
    bytes: int = 0
    tagged: bool = False
    needed: bool = False
    """The newest one, and what runs under way or models need."""
    used_at: float | None = None
    expires_at: float | None = None
    """The mark: when it may be deleted."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, by name, and when to look again."""

    marks: dict[str, float | None]
    """Marks to set, and with None those to take away."""
    expired: tuple[str, ...]
    """Versions to delete now."""
    look_at: float | None


def decide(versions: Iterable[VersionFacts], policy: Policy | None, *, now: float) -> Decision:
    """Mark, unmark and delete; without a policy nothing is marked."""
    ordered = sorted(versions, key=lambda each: (each.created_at, each.name), reverse=True)
    marks: dict[str, float | None] = {}
    expired: list[str] = []
    times: list[float] = []
    for place, each in enumerate(ordered):
        if policy is None or _kept(each, policy, place=place, now=now):
            if each.expires_at is not None:
                marks[each.name] = None
            if policy is not None and policy.keep_used_within is not None:
                times.append(_last_use(each) + policy.keep_used_within)
        elif each.expires_at is None:
            marks[each.name] = now + policy.grace
            times.append(now + policy.grace)
        elif each.expires_at <= now:
            expired.append(each.name)
        else:
            times.append(each.expires_at)
    return Decision(marks, tuple(expired), min((t for t in times if t > now), default=None))


def _kept(each: VersionFacts, policy: Policy, *, place: int, now: float) -> bool:
    return (
        each.needed
        or (policy.keep_tagged and each.tagged)
        or (policy.keep_last is not None and place < policy.keep_last)
        or (policy.keep_used_within is not None and now - _last_use(each) < policy.keep_used_within)
    )


def _last_use(each: VersionFacts) -> float:
    return max(each.created_at, each.used_at or each.created_at)
